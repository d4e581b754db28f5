from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from actors.rendering.inspecting.contact_sheet import Glances, draw, moments
from actors.rendering.inspecting.measuring import Measured
from actors.rendering.order import InspectionOrder
from actors.rendering.planning.plan import Plan
from actors.rendering.planning.timeline import plan
from schema.documents import Aspect, Finding
from schema.settings.video import Video
from tests.unit.rendering.orders import order

VIDEO = Video(video_quality="720p", fps=10)
RED = (255, 105, 97)


def sheet(folder: Path, title: str, findings: tuple[Finding, ...], aspect: Aspect = "16:9") -> tuple[np.ndarray, Plan]:
    """A sheet of a film of grey frames, silent from 1 to 2 s."""
    asked = order(folder, video=VIDEO, aspect=aspect)
    film = plan(asked, asked.speech.duration_s)
    glances = Glances(film)
    for number in range(film.frames):
        frame = av.VideoFrame.from_ndarray(np.full((96, 64), 128, np.uint8), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, VIDEO.fps)
        glances.see(frame)
    (folder / "film.mp4").write_bytes(bytes(2_000_000))
    found = Measured(
        faststart=True,
        envelope=np.full(round(film.duration_s * 1000), 0.1, np.float32),
        momentary_lufs=[-14.0] * round(film.duration_s * 10),
        silent=[(1.0, 2.0)],
    )
    wanted = InspectionOrder(str(folder / "film.mp4"), "", "", VIDEO, title=title, cost="$0.10")
    return np.asarray(draw(wanted, film, found, glances, findings)), film


@pytest.mark.parametrize("aspect", ["16:9", "9:16"])
def test_a_sheet_shows_in_red_what_is_wrong_and_only_then(tmp_path: Path, aspect: Aspect) -> None:
    good = Finding("size", passed=True, measured="1280 x 720", allowed="1280 x 720")
    clean, _ = sheet(tmp_path, "Three hearts", (good,), aspect)
    bad = Finding("silence", passed=False, measured="1.00 s", allowed="at most 0.5 s")
    wrong, _ = sheet(tmp_path, "Three hearts", (good, bad), aspect)
    assert clean.shape[1] == wrong.shape[1] == 1600
    red = [int((np.abs(pixels.astype(int) - RED).sum(axis=2) < 12).sum()) for pixels in (clean, wrong)]
    assert 0 < red[0] < red[1], "a silence is marked on the strip; a finding is written in red as well"


def test_a_title_that_no_font_has_is_no_reason_to_have_no_sheet(tmp_path: Path) -> None:
    assert sheet(tmp_path, "\U0001f7f0 \ue000", ())[0].any()


def test_frames_are_taken_in_every_scene_and_where_words_are_shown(tmp_path: Path) -> None:
    film = plan(made := order(tmp_path, video=VIDEO), made.speech.duration_s)
    looked = [round(at_s * film.fps) for at_s in moments(film)]
    assert looked == sorted(set(looked))
    for scene in (0, 1):
        shots = [shot for shot in film.shots if shot.scene == scene]
        assert any(shots[0].first <= frame < shots[-1].end for frame in looked)
    spoken = [frame for frame in looked if film.captions[0].first <= frame < film.captions[-1].end]
    assert all(any(caption.first <= frame < caption.end for caption in film.captions) for frame in spoken)
