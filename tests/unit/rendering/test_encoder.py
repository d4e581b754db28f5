from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path

import av
import numpy as np
import pytest

from actors.rendering.encoding.encoder import Encoder
from actors.rendering.nv12 import Nv12, blank
from actors.rendering.sound.samples import RATE_HZ
from actors.rendering.sound.track import Track, silent
from schema.settings.video import Video

SIZE = (320, 180)
QUICK = Video(preset="ultrafast")


def sound(seconds: float = 1.0) -> Future[Track]:
    ready: Future[Track] = Future()
    ready.set_result(silent(seconds, QUICK.audio_bitrate))
    return ready


def grey() -> Nv12:
    frame = blank(*SIZE)
    for plane in frame.planes():
        plane.fill(128)
    return frame


def test_the_file_appears_under_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    with Encoder(out, SIZE, QUICK, sound()) as encoder:
        for _ in range(30):
            encoder.write(grey())
            assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def film(out: Path, frames: Iterable[Nv12], track: Future[Track]) -> None:
    """Encode these frames, small and quickly."""
    with Encoder(out, SIZE, QUICK, track) as encoder:
        for frame in frames:
            encoder.write(frame)


def then_stop() -> Iterator[Nv12]:
    yield grey()
    raise KeyboardInterrupt


def with_a_bad_one() -> Iterator[Nv12]:
    for number in range(100):
        yield grey()._replace(uv=np.zeros((1, 1, 2), np.uint8)) if number == 3 else grey()


def test_an_error_in_the_block_leaves_nothing_and_keeps_what_was_there_before(tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    out.write_text("the film before")
    with pytest.raises(KeyboardInterrupt):
        film(out, then_stop(), sound())
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    assert out.read_text() == "the film before"


def test_an_error_of_the_encoder_reaches_the_writer_and_never_blocks_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="UV"):
        film(tmp_path / "film.mp4", with_a_bad_one(), sound())
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_sound_reaches_the_writer(tmp_path: Path) -> None:
    broken: Future[Track] = Future()
    broken.set_exception(ArithmeticError("no gain"))
    with pytest.raises(ArithmeticError, match="no gain"):
        film(tmp_path / "film.mp4", (grey() for _ in range(100)), broken)
    assert list(tmp_path.iterdir()) == []


def test_an_error_after_the_last_frame_is_not_lost(tmp_path: Path) -> None:
    late: Future[Track] = Future()

    def frames() -> Iterator[Nv12]:
        yield grey()
        late.set_exception(ArithmeticError("no gain"))

    with pytest.raises(ArithmeticError, match="no gain"):
        film(tmp_path / "film.mp4", frames(), late)
    assert list(tmp_path.iterdir()) == []


def test_sound_that_is_late_still_gets_into_the_film(tmp_path: Path) -> None:
    late: Future[Track] = Future()

    def frames() -> Iterator[Nv12]:
        yield from (grey() for _ in range(30))
        late.set_result(silent(1.0, QUICK.audio_bitrate))

    film(tmp_path / "film.mp4", frames(), late)
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) >= RATE_HZ


def test_a_folder_that_is_not_there_is_an_error_and_not_a_hang(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        film(tmp_path / "no" / "film.mp4", (grey() for _ in range(30)), sound())
