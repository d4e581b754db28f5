"""What render and quality make of the modes in force; the child is asked what it was told to do."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import msgspec
import pytest

from actors import child, quality, render
from actors.providers.market import Market
from actors.rendering.order import FilmOrder, Inspection, InspectionOrder, Rendered
from actors.task import Task
from schema.documents import Brief, Film, Footage, Scene, Script, Speech
from schema.modes import Mode
from schema.record.claims import Claim
from schema.record.gate import Order
from schema.settings.environment import Settings
from schema.settings.servers import Servers
from schema.settings.video import frame_size
from streams.process import Process


class Stage:
    """One video before its render, in a process that has no servers; orders to a child are kept, not carried out."""

    def __init__(self, folder: Path) -> None:
        self.process = Process("render", Settings(servers=Servers(data_dir=str(folder))))
        self.orders: list[msgspec.Struct] = []
        self._folder = folder
        (folder / "file").write_bytes(b"bytes")
        self.ref = self.process.artifacts.put(folder / "file", "work/file")

    def mode(self, mode: Mode | None) -> None:
        """This mode, or none, is in force from now on."""
        order = Order("mode", "", "", "operator", mode or "", "", datetime.now(UTC))
        self.process.keeper._orders = (order,) if mode else ()

    def task(self, **inputs: msgspec.Struct) -> Task:
        """An attempt that was left these documents."""
        given = {name: msgspec.json.encode(document) for name, document in inputs.items()}
        process = self.process
        market = Market(process.postgres, process.artifacts, process.settings, process.clock)
        return Task(Claim("v", "render", 1, 0, Brief(topic="t"), given, ""), process, self._folder, market)

    async def run(
        self,
        _verb: str,
        order: msgspec.Struct,
        kind: type[Any],
        task: Task,
        **_lines: object,
    ) -> Any:  # noqa: ANN401 - as child.run
        """In place of a child; meanwhile the mode changes."""
        self.orders.append(order)
        self.mode(None)
        if isinstance(order, FilmOrder):
            for made in (order.out, order.plan_out):
                Path(made).write_bytes(b"made")  # noqa: ASYNC240 - five bytes
            width, height = frame_size(order.video, order.aspect)
            return Rendered(width, height, 30, 1, 1.0, "none", "")
        assert kind is Inspection
        del task
        return Inspection(passed=True, findings=())


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(tmp_path)
    monkeypatch.setattr(child, "run", made.run)
    monkeypatch.setattr(Market, "spent_usd", AsyncMock(return_value=Decimal("0.25")))
    return made


def _before_render(stage: Stage) -> Task:
    speech = Speech(audio=stage.ref, sample_rate_hz=48_000, duration_s=1.0, scenes=())
    return stage.task(script=Script("t", (Scene("n"),)), media=Footage(()), audio=speech)


async def test_a_render_that_begins_in_economy_mode_is_720p_and_128k_to_its_end(stage: Stage) -> None:
    stage.mode("economy")
    film = await render.render(_before_render(stage))
    [order] = stage.orders
    assert isinstance(order, FilmOrder)
    assert (order.video.video_quality, order.video.audio_bitrate) == ("720p", "128k")
    assert (film.width, film.height) == (1280, 720)
    assert stage.process.mode().mode == "normal", "it changed while the child was at work"
    await render.render(_before_render(stage))
    assert stage.orders[1].video.video_quality == "1080p"  # type: ignore[attr-defined] # a FilmOrder as well


@pytest.mark.parametrize(("mode", "perceptual"), [("speed", False), ("economy", True), (None, True)])
async def test_quality_looks_and_listens_but_in_speed_mode(stage: Stage, mode: Mode | None, perceptual: bool) -> None:  # noqa: FBT001 - a parameter of the test
    stage.mode(mode)
    film = Film(video=stage.ref, plan=stage.ref, width=1, height=1, fps=30, frames=1, duration_s=1.0, encoder="none")
    speech = Speech(audio=stage.ref, sample_rate_hz=48_000, duration_s=1.0, scenes=())
    await quality.check(stage.task(render=film, audio=speech, script=Script("t", (Scene("n"),))))
    [order] = stage.orders
    assert isinstance(order, InspectionOrder)
    assert order.perceptual is perceptual
    assert (order.title, order.cost) == ("t", "$0.25")


async def test_what_goes_with_a_film_lies_beside_it_under_its_name(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.run

    async def drawing(verb: str, order: msgspec.Struct, kind: type[Any], task: Task, **lines: object) -> Any:  # noqa: ANN401 - as child.run
        if isinstance(order, FilmOrder):
            assert Path(order.parts) == stage.process.artifacts.folder("work/v/render-parts")
            (Path(order.parts) / "film-1").mkdir(parents=True)
            for suffix in (".srt", ".vtt", ".jpg"):
                Path(order.out).with_suffix(suffix).write_text(suffix)
        elif isinstance(order, InspectionOrder):
            Path(order.sheet_out).write_text(".png")  # noqa: ASYNC240 - four bytes
        return await run(verb, order, kind, task, **lines)

    monkeypatch.setattr(child, "run", drawing)
    film = await render.render(_before_render(stage))
    assert not (stage.process.artifacts.folder("work/v/render-parts") or Path()).exists(), (
        "parts of a film that is stored"
    )
    speech = Speech(audio=stage.ref, sample_rate_hz=48_000, duration_s=1.0, scenes=())
    verdict = await quality.check(stage.task(render=film, audio=speech, script=Script("t", (Scene("n"),))))
    assert [ref.path for ref in verdict.beside] == [f"videos/v{suffix}" for suffix in (".srt", ".vtt", ".jpg", ".png")]
    for ref in verdict.beside:
        with stage.process.artifacts.opened(ref) as file:
            assert file.read().decode() == Path(ref.path).suffix
