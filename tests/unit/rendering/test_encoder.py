from __future__ import annotations

import contextlib
import itertools
import json
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from actors.rendering.encoding.encoder import Codec, Encoder
from actors.rendering.encoding.muxing import UnfitError, mux
from actors.rendering.encoding.parts import Mark, Part
from actors.rendering.encoding.segments import Segments, Stretch
from actors.rendering.nv12 import Nv12, blank
from actors.rendering.planning.about import About, Chapter
from actors.rendering.sound.track import silent
from schema.errors import RetryableError
from schema.settings.video import Video

SIZE = (320, 180)
FPS, GROUP = 30, 10
QUICK = Video(preset="ultrafast", fps=FPS)
CODEC = Codec("libx264", "nv12", {"preset": "ultrafast", "g": str(GROUP)})


def shade(number: int) -> Nv12:
    """A frame that can be told from its neighbours."""
    frame = blank(*SIZE)
    for plane in frame.planes():
        plane.fill(128)
    frame.y[:] = 20 + 5 * (number % 40)
    return frame


def frames(first: int, end: int) -> Iterator[Nv12]:
    return (shade(number) for number in range(first, end))


def encoded(segments: Segments, pictures: Iterable[Nv12], codec: Codec = CODEC) -> Part:
    """Encode these frames as the film's next part."""
    part = segments.part()
    with Encoder(part, SIZE, QUICK, codec=codec) as encoder:
        for picture in pictures:
            encoder.write(picture)
    segments.add(part)
    return part


def killed(folder: Path, marks: int) -> int:
    """An attempt that ends in mid-group, as soon as its part has so many marks; returns the frames that are kept."""
    with Segments(folder, "film") as segments:
        part, number = segments.part(), itertools.count(segments.reached)
        with contextlib.suppress(KeyboardInterrupt), Encoder(part, SIZE, QUICK, codec=CODEC) as encoder:
            while len(part.marks) < marks:
                encoder.write(shade(next(number)))
            raise KeyboardInterrupt
        return part.first + part.marks[-1].frames


def shown(film: Path) -> list[int]:
    """The number of each frame's shade, modulo 40."""
    with av.open(str(film)) as container:
        pictures = list(container.decode(video=0))
    stamps = [round((picture.time or 0.0) * FPS) for picture in pictures]
    assert stamps == list(range(len(pictures)))
    lumas = [picture.to_ndarray()[: SIZE[1]] for picture in pictures]  # yuv420p: the first rows are luma
    return [round((float(luma.mean()) - 20) / 5) for luma in lumas]


def film(folder: Path, end: int, about: About | None = None) -> list[int]:
    """Another attempt, up to this frame; returns what the film shows."""
    with Segments(folder, "film") as segments:
        if segments.reached < end:
            encoded(segments, frames(segments.reached, end))
        out = folder / "film.mp4"
        mux(out, FPS, segments.stretches, silent(end / FPS, "128k"), about or About(), checkpoint=lambda: None)
    return shown(out)


def test_a_film_begun_anew_behind_a_kill_shows_every_frame_once(tmp_path: Path) -> None:
    kept = [killed(tmp_path, 2), killed(tmp_path, 3)]
    assert kept == [2 * GROUP, 5 * GROUP]
    assert film(tmp_path, 64) == [number % 40 for number in range(64)]
    with Segments(tmp_path, "film") as segments:
        assert segments.reached == 64, "a film that is whole is not encoded again"


def test_what_was_damaged_is_encoded_again_and_what_lies_before_it_is_not(tmp_path: Path) -> None:
    killed(tmp_path, 3)
    (path,) = (tmp_path / "film-film").glob("*.mp4")
    marks = path.with_suffix(".marks").read_bytes().splitlines(keepends=True)
    whole = path.read_bytes()
    second = json.loads(marks[1])[1]
    for damaged in (whole[: second - 1], whole[: second - 9] + b"damage" + whole[second - 3 :]):
        path.write_bytes(damaged)
        with Segments(tmp_path, "film") as segments:
            assert segments.reached == GROUP
    path.write_bytes(whole)
    path.with_suffix(".marks").write_bytes(b"".join(marks)[:-4])
    with Segments(tmp_path, "film") as segments:
        assert segments.reached == 2 * GROUP
    path.with_suffix(".marks").write_bytes(b"nonsense\n")
    (path.parent / "stranger.mp4").write_bytes(b"")
    with Segments(tmp_path, "film") as segments:
        assert segments.reached == 0
    assert film(tmp_path, 25) == list(range(25))


def test_two_attempts_at_once_read_only_what_is_whole_and_outlive_each_others_tidying(tmp_path: Path) -> None:
    with Segments(tmp_path, "film") as old:
        slow = old.part()
        with Encoder(slow, SIZE, QUICK, codec=CODEC) as encoder:
            number = itertools.count()
            while len(slow.marks) < 2:
                encoder.write(shade(next(number)))
            with Segments(tmp_path, "film") as new:
                begun = new.reached
                assert begun == slow.marks[-1].frames or begun == 2 * GROUP
                encoded(new, frames(begun, 50))
                for path in (tmp_path / "film-film").iterdir():
                    path.unlink()
                out = tmp_path / "new.mp4"
                mux(out, FPS, new.stretches, silent(1.0, "128k"), About(), checkpoint=lambda: None)
            for left in range(next(number), 50):
                encoder.write(shade(left))
        old.add(slow)
        assert old.reached == 50
    assert shown(out) == [number % 40 for number in range(50)]


def test_the_chain_that_reaches_farthest_is_taken(tmp_path: Path) -> None:
    killed(tmp_path, 4)
    longest = next((tmp_path / "film-film").glob("*.mp4"))
    marks = longest.with_suffix(".marks").read_bytes().splitlines(keepends=True)
    longest.with_suffix(".marks").write_bytes(b"".join(marks[:2]))
    assert killed(tmp_path, 3) == 5 * GROUP
    longest.with_suffix(".marks").write_bytes(b"".join(marks))
    with Segments(tmp_path, "film") as segments:
        assert [(stretch.first, stretch.end) for stretch in segments.stretches] == [(0, 20), (20, 50)]


def test_parts_of_another_film_are_removed(tmp_path: Path) -> None:
    killed(tmp_path, 1)
    with Segments(tmp_path, "another") as segments:
        assert segments.reached == 0
        assert list(tmp_path.iterdir()) == []


def test_parts_of_two_encoders_are_no_film(tmp_path: Path) -> None:
    killed(tmp_path, 1)
    with Segments(tmp_path, "film") as segments:
        encoded(segments, frames(GROUP, 20), CODEC._replace(options={"preset": "medium"}))
        with pytest.raises(UnfitError, match="another encoder"):
            mux(tmp_path / "film.mp4", FPS, segments.stretches, silent(1.0, "128k"), About(), checkpoint=lambda: None)
    assert not list(tmp_path.glob("film.mp4*"))


def test_a_gap_between_parts_is_no_film(tmp_path: Path) -> None:
    with Segments(tmp_path, "film") as segments:
        encoded(segments, frames(0, 30))
        short = [Stretch(segments.stretches[0].part, segments.stretches[0].part.marks[0])]
        wrong = [short[0]._replace(mark=segments.stretches[0].part.marks[1])]
        for stretches in ([*segments.stretches, *short], [Stretch(wrong[0].part, _miscounted(wrong[0]))]):
            with pytest.raises(UnfitError, match="from frame 0 on"):
                mux(tmp_path / "film.mp4", FPS, stretches, silent(1.0, "128k"), About(), checkpoint=lambda: None)


def _miscounted(stretch: Stretch) -> Mark:
    return msgspec.structs.replace(stretch.mark, frames=stretch.mark.frames + 1)


def test_a_film_says_its_chapters_its_title_and_its_language(tmp_path: Path) -> None:
    said = About((Chapter("One", 0, 400), Chapter("Two", 400, 1000)), {"title": "T", "comment": "c"}, "deu")
    film(tmp_path, 30, said)
    with av.open(str(tmp_path / "film.mp4")) as container:
        chapters = [
            (chapter["metadata"]["title"], float(chapter["start"] * (chapter["time_base"] or 0)))
            for chapter in container.chapters()
        ]
        assert chapters == [("One", 0.0), ("Two", pytest.approx(0.4))]
        assert (container.metadata["title"], container.metadata["comment"]) == ("T", "c")
        assert container.streams.audio[0].language == "deu"


def test_the_sound_is_as_it_was_encoded_and_begins_with_the_film(tmp_path: Path) -> None:
    film(tmp_path, 30)
    with av.open(str(tmp_path / "film.mp4")) as container:
        audio = container.streams.audio[0]
        assert (audio.start_time, audio.duration) == (0, 48_000)
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 48_000


def test_the_file_appears_under_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"

    def not_yet() -> None:
        assert not out.exists()

    with Segments(tmp_path, "film") as segments:
        encoded(segments, frames(0, 12))
        mux(out, FPS, segments.stretches, silent(0.4, "128k"), About(), checkpoint=not_yet)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film-film", "film.mp4"]


def test_a_stop_while_the_film_is_put_together_leaves_no_film(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with Segments(tmp_path, "film") as segments:
        encoded(segments, frames(0, 12))
        (tmp_path / "film.mp4").write_text("the film before")
        with pytest.raises(KeyboardInterrupt):
            mux(tmp_path / "film.mp4", FPS, segments.stretches, silent(0.4, "128k"), About(), checkpoint=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film-film", "film.mp4"]
    assert (tmp_path / "film.mp4").read_text() == "the film before"


def test_an_error_of_the_encoder_reaches_the_writer_and_never_blocks_it(tmp_path: Path) -> None:
    def with_a_bad_one() -> Iterator[Nv12]:
        for number in range(100):
            yield shade(number)._replace(uv=np.zeros((1, 1, 2), np.uint8)) if number == 3 else shade(number)

    with Segments(tmp_path, "film") as segments, pytest.raises(ValueError, match="UV"):
        encoded(segments, with_a_bad_one())


def test_a_full_disk_is_said_in_words_and_what_was_encoded_before_is_kept(tmp_path: Path) -> None:
    killed(tmp_path, 1)
    with Segments(tmp_path, "film") as segments:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, resource.RLIM_INFINITY))
        try:
            with pytest.raises(RetryableError, match=r"part 0000010-\w+\.mp4 cannot be written: File too large"):
                encoded(segments, frames(segments.reached, 1_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with Segments(tmp_path, "film") as segments:
        assert segments.reached > GROUP


def test_a_folder_that_cannot_be_made_is_an_error_and_not_a_hang(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Segments(tmp_path / "file", "film") as segments, pytest.raises(RetryableError, match="cannot be written"):
        segments.part()
