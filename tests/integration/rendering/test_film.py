from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from actors.rendering.film import render
from actors.rendering.inspecting.verdict import inspect
from actors.rendering.order import FilmOrder, InspectionOrder, Rendered
from actors.rendering.planning.plan import Plan
from actors.rendering.planning.timeline import LEAD_IN_S, LEAD_OUT_S
from schema.documents import Word
from schema.errors import PermanentError
from schema.settings.video import Video
from tests.integration.rendering.conftest import go_on, unheard
from tests.unit.rendering.orders import order, write_wav

pytestmark = pytest.mark.slow

Change = Callable[[FilmOrder, Path], FilmOrder]


def refuse(asked: FilmOrder) -> str:
    """Render what cannot be rendered; the message comes back."""
    shown: list[int] = []
    with pytest.raises(PermanentError) as refusal:
        render(asked, checkpoint=go_on, progress=lambda frame, _of: shown.append(frame))
    assert shown == []
    assert not Path(asked.out).exists()
    assert not Path(f"{asked.out}.part").exists()
    return str(refusal.value)


def test_the_film_is_as_long_as_its_voice_with_a_lead_in_and_out(film: tuple[FilmOrder, Rendered]) -> None:
    asked, made = film
    assert made.duration_s == pytest.approx(asked.speech.duration_s + LEAD_IN_S + LEAD_OUT_S, abs=1 / made.fps)
    assert made.frames == round(made.duration_s * made.fps)
    with av.open(asked.out) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height, video.frames) == (1280, 720, made.frames)
        assert audio.duration is not None
        assert audio.duration / 48_000 == pytest.approx(made.duration_s, abs=0.03)


def test_the_first_frame_shows_the_first_picture_and_not_black(film: tuple[FilmOrder, Rendered]) -> None:
    with av.open(film[0].out) as container:
        first = next(container.decode(video=0)).to_ndarray(format="gray")
    assert first.mean() > 60


def test_a_word_is_lit_on_its_frame_in_the_finished_file(film: tuple[FilmOrder, Rendered]) -> None:
    plan = msgspec.json.decode(Path(film[0].plan_out).read_bytes(), type=Plan)
    with av.open(film[0].out) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    caption = plan.captions[0]
    # Yellow is where red is far above blue; in the caption's box only the lit word is.
    strip = slice(round(0.80 * plan.height), round(0.90 * plan.height))
    centres = []
    for start in (*caption.starts, caption.starts[-1] + 1):
        band = frames[start][strip].astype(int)
        yellow = (band[..., 0] > 190) & (band[..., 1] > 150) & (band[..., 2] < 130)
        centres.append(float(np.flatnonzero(yellow.any(axis=0)).mean()))
    assert all(before < after for before, after in itertools.pairwise(centres[:-1]))
    assert centres[-1] == pytest.approx(centres[-2], abs=30)


def test_a_stop_between_two_frames_leaves_nothing(tmp_path: Path) -> None:
    asked, called = order(tmp_path), itertools.count()

    def checkpoint() -> None:
        if next(called) == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(asked, checkpoint=checkpoint, progress=unheard)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png", "voice.wav"]


def test_progress_counts_every_frame(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    asked = order(tmp_path, scenes=(("", "One two."),))
    made = render(asked, checkpoint=go_on, progress=lambda *step: heard.append(step))
    assert heard == [(frame + 1, made.frames) for frame in range(made.frames)]


def test_the_same_order_gives_the_same_pictures(film: tuple[FilmOrder, Rendered], tmp_path: Path) -> None:
    again = replace(film[0], out=str(tmp_path / "again.mp4"), plan_out=str(tmp_path / "again.json"))
    render(again, checkpoint=go_on, progress=unheard)

    def digest(path: str) -> str:
        seen = hashlib.sha256()
        with av.open(path) as container:
            for packet in container.demux(video=0):
                seen.update(bytes(packet))
        return seen.hexdigest()

    assert digest(again.out) == digest(film[0].out)


def test_an_upright_film_with_less_bitrate_passes_its_inspection(tmp_path: Path) -> None:
    video = Video(video_quality="720p", preset="ultrafast", audio_bitrate="128k")
    asked = order(tmp_path, aspect="9:16", video=video)
    made = render(asked, checkpoint=go_on, progress=unheard)
    assert (made.width, made.height) == (720, 1280)
    strict = replace(video, loudness_tolerance_lu=0.3)
    verdict = inspect(
        InspectionOrder(asked.out, asked.plan_out, asked.voice, strict), checkpoint=go_on, progress=unheard
    )
    assert [finding for finding in verdict.findings if not finding.passed] == []


@pytest.mark.parametrize("music", ["off", "own"])
def test_without_music_and_with_your_own_a_film_passes_its_inspection(tmp_path: Path, music: str) -> None:
    asked = order(tmp_path, scenes=(("", "One two three four."),))
    own = write_wav(tmp_path / "own.wav", 0.2 * np.sin(np.arange(48_000) * 0.05))
    video = replace(asked.video, music="off") if music == "off" else replace(asked.video, music_file=own)
    asked = replace(asked, video=replace(video, loudness_tolerance_lu=0.2))
    render(asked, checkpoint=go_on, progress=unheard)
    verdict = inspect(
        InspectionOrder(asked.out, asked.plan_out, asked.voice, asked.video), checkpoint=go_on, progress=unheard
    )
    assert [finding for finding in verdict.findings if not finding.passed] == []


def no_picture(asked: FilmOrder, folder: Path) -> FilmOrder:
    path = folder / "page.png"
    path.write_text("<html>")
    return replace(asked, pictures=(asked.pictures[0], str(path)))


def no_voice(asked: FilmOrder, folder: Path) -> FilmOrder:
    return replace(asked, voice=write_wav(folder / "empty.wav", np.zeros(0)))


def no_music(asked: FilmOrder, folder: Path) -> FilmOrder:
    return replace(asked, video=replace(asked.video, music_file=str(folder / "gone.mp3")))


def odd_letter(asked: FilmOrder, _folder: Path) -> FilmOrder:
    return replace(asked, script=replace(asked.script, title="𒀀"))


def backward_words(asked: FilmOrder, _folder: Path) -> FilmOrder:
    scene = replace(asked.speech.scenes[0], words=(Word("a", 1.0, 1.2), Word("b", 0.9, 1.1)))
    return replace(asked, speech=replace(asked.speech, scenes=(scene, asked.speech.scenes[1])))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (no_picture, "page.png is not a picture"),
        (no_voice, "voice empty.wav"),
        (no_music, "the music gone.mp3 cannot be read"),
        (odd_letter, "no font here can draw"),
        (backward_words, "the word 'b' of scene 1"),
    ],
)
def test_what_cannot_be_filmed_is_refused_by_name_before_the_first_frame(
    tmp_path: Path, change: Change, said: str
) -> None:
    assert said in refuse(change(order(tmp_path), tmp_path))


def test_a_silent_voice_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    asked = order(tmp_path)
    write_wav(Path(asked.voice), np.zeros(round(asked.speech.duration_s * 24_000)))
    with pytest.raises(PermanentError, match=r"voice\.wav is silent"):
        render(asked, checkpoint=go_on, progress=unheard)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png", "voice.wav"]
