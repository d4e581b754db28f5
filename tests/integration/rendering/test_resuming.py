from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from actors.rendering.card_check import psnr_db
from actors.rendering.film import render
from actors.rendering.inspecting.verdict import inspect
from actors.rendering.order import FilmOrder, InspectionOrder, Rendered
from actors.rendering.planning.plan import Plan
from schema.errors import PermanentError
from schema.settings.video import Video
from tests.integration.rendering.conftest import go_on, unheard
from tests.integration.rendering.test_child import Child, children, lines, start
from tests.unit.rendering.orders import order

__all__ = ["children"]
#: Groups of 20 frames: GOP_S at this rate.
QUICK = Video(video_quality="720p", preset="superfast", fps=10)
GROUP = 20


@pytest.fixture
def asked(tmp_path: Path) -> FilmOrder:
    """A film of some ten seconds whose parts are kept."""
    return replace(order(tmp_path, video=QUICK), parts=str(tmp_path / "parts"))


def parts(asked: FilmOrder) -> list[Path]:
    return sorted(Path(asked.parts).rglob("*.mp4"))


def stopped_at(asked: FilmOrder, frame: int) -> None:
    """An attempt that is stopped before this frame."""
    shown: list[int] = []

    def checkpoint() -> None:
        if shown[-1:] == [frame]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(asked, checkpoint=checkpoint, progress=lambda done, _of: shown.append(done))


def made(asked: FilmOrder) -> tuple[Rendered, list[int]]:
    """An attempt that comes to its end, and the frames that it encoded itself."""
    shown: list[int] = []
    return render(asked, checkpoint=go_on, progress=lambda frame, _of: shown.append(frame - 1)), shown


def pictures(path: str) -> Iterator[np.ndarray]:
    with av.open(path) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray()


def like_an_uninterrupted_one(asked: FilmOrder) -> None:
    """Its frames are those of a film that was made at once, and the inspection finds nothing."""
    whole = replace(asked, out=f"{asked.out}.whole.mp4", plan_out=f"{asked.plan_out}.whole", parts="")
    render(whole, checkpoint=go_on, progress=unheard)
    assert Path(asked.plan_out).read_bytes() == Path(whole.plan_out).read_bytes()
    levels = [psnr_db(one, other) for one, other in zip(pictures(asked.out), pictures(whole.out), strict=True)]
    assert min(levels) > 32
    verdict = inspect(
        InspectionOrder(asked.out, asked.plan_out, asked.voice, asked.video), checkpoint=go_on, progress=unheard
    )
    assert [finding for finding in verdict.findings if not finding.passed] == []


@pytest.mark.slow
def test_a_film_killed_at_nine_tenths_goes_on_there(asked: FilmOrder, tmp_path: Path, children: list[Child]) -> None:
    frames = made(replace(asked, parts="", out=str(tmp_path / "first.mp4")))[0].frames
    child = start(children, "film", asked, tmp_path)
    # The child speaks at most every half second; its parts say sooner how far it is.
    while not _marked(asked) >= 0.7 * frames:
        assert child.poll() is None
    child.kill()
    child.wait()
    kept = _marked(asked)
    child = start(children, "film", asked, tmp_path)
    said = lines(child)
    assert child.wait() == 0
    result = msgspec.convert(said[-1]["result"], Rendered)
    assert result.frames_found >= kept >= 0.7 * frames
    if result.frames_found < frames:
        assert said[0]["frame"] == result.frames_found + 1
    like_an_uninterrupted_one(asked)


def _marked(asked: FilmOrder) -> int:
    lists = [path.with_suffix(".marks") for path in parts(asked)]
    marks = [line for path in lists if path.exists() for line in path.read_bytes().splitlines() if line.endswith(b"]")]
    return max((msgspec.json.decode(line)[0] for line in marks), default=0)


@pytest.mark.slow
def test_a_film_stopped_again_and_again_encodes_no_whole_group_twice(asked: FilmOrder) -> None:
    stopped_at(asked, 55)
    stopped_at(asked, 85)
    result, shown = made(asked)
    assert shown == list(range(shown[0], result.frames))
    assert shown[0] % GROUP == 0
    assert result.frames_found == shown[0] >= 40
    like_an_uninterrupted_one(asked)
    assert made(asked)[1] == [], "what is whole is only put together"


@pytest.mark.slow
def test_damaged_parts_cost_their_frames_and_never_the_film(asked: FilmOrder) -> None:
    stopped_at(asked, 85)
    (path,) = parts(asked)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    stopped_at(asked, 85)
    for part in parts(asked):
        data = bytearray(part.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
        part.write_bytes(data)
    result, shown = made(asked)
    assert 0 < result.frames_found < 60
    assert len(shown) == result.frames - result.frames_found
    like_an_uninterrupted_one(asked)


def new_title(asked: FilmOrder) -> FilmOrder:
    return replace(asked, script=replace(asked.script, title="Why they have blue blood"))


def new_picture(asked: FilmOrder) -> FilmOrder:
    return replace(asked, pictures=(asked.pictures[1], asked.pictures[0]))


def new_quality(asked: FilmOrder) -> FilmOrder:
    return replace(asked, video=replace(asked.video, crf=30))


@pytest.mark.slow
@pytest.mark.parametrize("change", [new_title, new_picture, new_quality])
def test_a_changed_order_begins_anew(asked: FilmOrder, change: Callable[[FilmOrder], FilmOrder]) -> None:
    stopped_at(asked, 60)
    before = parts(asked)
    stopped_at(change(asked), 5)
    assert before
    assert not set(before) & set(parts(asked))


@pytest.mark.slow
def test_what_does_not_change_the_pictures_keeps_them(asked: FilmOrder) -> None:
    stopped_at(asked, 60)
    louder = replace(asked, video=replace(asked.video, loudness_lufs=-16.0, audio_bitrate="128k"), date="2026-01-01")
    assert made(louder)[0].frames_found > 0


@pytest.mark.slow
def test_a_film_that_is_refused_late_leaves_no_parts(asked: FilmOrder) -> None:
    stopped_at(asked, 30)
    assert parts(asked)
    with pytest.raises(PermanentError):
        render(replace(asked, voice=asked.pictures[0]), checkpoint=go_on, progress=unheard)
    assert not Path(asked.parts).exists()


@pytest.mark.slow
def test_a_shot_in_which_nothing_moves_is_known_though_an_earlier_attempt_showed_it(tmp_path: Path) -> None:
    from PIL import Image  # noqa: PLC0415 - here only

    asked = replace(order(tmp_path, video=QUICK), parts=str(tmp_path / "parts"))
    Image.new("RGB", (640, 360), (30, 90, 160)).save(asked.pictures[0])
    stopped_at(asked, 70)
    assert made(asked)[0].frames_found >= GROUP
    assert msgspec.json.decode(Path(asked.plan_out).read_bytes(), type=Plan).flat_shots == (0,)
