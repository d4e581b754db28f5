"""Whole films of clips and stills, on the CPU and on a card that is played."""

from __future__ import annotations

from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from actors.rendering.card_check import psnr_db
from actors.rendering.film import render
from actors.rendering.inspecting.verdict import inspect
from actors.rendering.order import FilmOrder, InspectionOrder
from actors.rendering.planning.plan import Plan
from schema.documents import ArtifactRef, Footage, Picture
from schema.errors import PermanentError
from schema.settings.video import Video
from tests.fakes.card import FakeCupy
from tests.integration.rendering.conftest import go_on, unheard
from tests.unit.rendering.clips_made import clip, corners
from tests.unit.rendering.orders import order

_NOWHERE = ArtifactRef("none", 0, "")
SCENES = (
    ("", "Octopuses have three hearts, and two of them rest when it swims away from us."),
    ("", "Their blood is blue because of copper."),
)


def mixed(folder: Path, *, fps: int = 30, filmed: tuple[int, int] = (320, 180)) -> FilmOrder:
    """A film of a clip that is shorter than its scene, a still, and a clip that was turned and breaks off."""
    folder.mkdir(exist_ok=True)
    asked = order(folder, scenes=SCENES, title="", video=Video(video_quality="720p", preset="ultrafast", fps=fps))
    short = clip(folder / "short.mp4", corners(*filmed), seconds=2.4)
    broken = Path(clip(folder / "broken.mkv", corners(180, 320), seconds=5.0, turned=90))
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    return replace(
        asked,
        footage=Footage(
            (
                Picture(0, "clip", _NOWHERE, *filmed),
                Picture(0, "still", _NOWHERE, 640, 360),
                Picture(1, "clip", _NOWHERE, 320, 180),
            )
        ),
        pictures=(short, asked.pictures[0], str(broken)),
    )


def frames(path: str) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray()[: frame.height].copy() for frame in container.decode(video=0)]


@pytest.mark.slow
def test_clips_and_stills_make_a_film_that_is_neither_black_nor_frozen(tmp_path: Path) -> None:
    asked = mixed(tmp_path / "film")
    render(asked, checkpoint=go_on, progress=unheard)
    film = msgspec.json.decode(Path(asked.plan_out).read_bytes(), type=Plan)
    assert [shot.part is None for shot in film.shots][:2] == [False, True]
    found = inspect(
        InspectionOrder(asked.out, asked.plan_out, asked.voice, asked.video), checkpoint=go_on, progress=unheard
    )
    assert found.passed, [finding for finding in found.findings if not finding.passed]


@pytest.mark.slow
@pytest.mark.usefixtures("encoder_of_the_card")
def test_a_film_of_clips_made_on_a_card_looks_as_one_made_on_the_cpu(cupy: FakeCupy, tmp_path: Path) -> None:
    on_card, on_cpu = (mixed(tmp_path / name, fps=10, filmed=(1280, 720)) for name in ("card", "cpu"))
    made = render(on_card, checkpoint=go_on, progress=unheard)
    assert (made.backend, made.fallback) == ("gpu", "")
    assert cupy.counts["down"] == 0, "a frame was copied"
    assert cupy.decoder.decoded > 50
    assert cupy.decoder.held == 0
    why = [note for note in made.notes if "decoded by the CPU" in note]
    assert why == ["the clip broken.mkv is decoded by the CPU: its pictures are turned"]
    render(replace(on_cpu, video=replace(on_cpu.video, gpu="cpu")), checkpoint=go_on, progress=unheard)
    alike = [psnr_db(one, two) for one, two in zip(frames(on_card.out), frames(on_cpu.out), strict=True)]
    assert len(alike) == made.frames
    assert min(alike) > 33


def test_a_clip_that_is_none_is_refused_before_the_first_frame(tmp_path: Path) -> None:
    asked, shown = mixed(tmp_path / "film"), list[int]()
    Path(asked.pictures[2]).write_text("<html>not found</html>")
    with pytest.raises(PermanentError, match=r"broken\.mkv is not a clip that can be read"):
        render(asked, checkpoint=go_on, progress=lambda frame, _of: shown.append(frame))
    assert shown == []
    assert not Path(asked.out).exists()
