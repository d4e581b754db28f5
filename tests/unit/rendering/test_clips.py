from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from actors.rendering.copying import copy
from actors.rendering.drawing import tone_mapping
from actors.rendering.drawing.clips import Clip, scout
from actors.rendering.nv12 import Nv12, Pixels, blank, from_rgb
from actors.rendering.order import ClipOrder
from actors.rendering.planning.clipping import Clippings, Part, Usable, lengths_s, longest_s
from schema.errors import PermanentError
from tests.unit.rendering.clips_made import CORNERS, clip, corners, grey, song_with_cover

#: Colours come back this near after H.264, levels.
_NEAR = 8


def shown(path: str, at_s: float, size: tuple[int, int] = (160, 90), part: Part | None = None) -> Nv12:
    """A frame of the film that shows the clip."""
    playing = Clip(path, part or Part(0.0), size)
    playing.seek(at_s)
    frame = blank(*size)
    playing.fill(frame)
    playing.close()
    return frame


def at_corners(frame: Nv12) -> list[tuple[int, int, int]]:
    """Y, U and V near the corners, from the upper left one on, clockwise."""
    height, width = frame.uv.shape[:2]
    places = ((0.15, 0.15), (0.15, 0.85), (0.85, 0.85), (0.85, 0.15))
    rows = [(int(down * height), int(across * width)) for down, across in places]
    return [(int(frame.y[2 * row, 2 * column]), *map(int, frame.uv[row, column])) for row, column in rows]  # type: ignore[misc]


def coded(*colours: int) -> list[tuple[int, int, int]]:
    """The corners' colours, by their number, as NV12 has them."""
    pixels = [from_rgb(np.full((2, 2, 3), CORNERS[number], np.uint8)) for number in colours]
    return [(int(one.y[0, 0]), int(one.uv[0, 0, 0]), int(one.uv[0, 0, 1])) for one in pixels]


def near(got: Sequence[tuple[int, ...]], wanted: Sequence[tuple[int, ...]], levels: int = _NEAR) -> bool:
    return bool(np.abs(np.array(got) - np.array(wanted)).max() <= levels)


def bar(frame: Nv12) -> float:
    """Where the bright bar stands, as a share of the width."""
    return int(frame.y.mean(axis=0).argmax()) / int(frame.y.shape[1])


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"colours": (6, 6, 6)},
        {"full_range": True},
        {"pix_fmt": "yuv444p"},
        {"pix_fmt": "yuv420p10le", "codec": "libx264"},
    ],
    ids=["plain", "bt601", "full range", "4:4:4", "10 bit"],
)
def test_whatever_a_clips_colours_are_coded_in_they_come_out_the_same(tmp_path: Path, odd: dict[str, object]) -> None:
    path = clip(tmp_path / "a.mp4", corners(160, 90), seconds=0.6, **odd)  # type: ignore[arg-type]
    assert near(at_corners(shown(path, 0.3)), coded(0, 1, 2, 3))


@pytest.mark.parametrize(("degrees", "order"), [(90, (1, 2, 3, 0)), (180, (2, 3, 0, 1)), (270, (3, 0, 1, 2))])
def test_a_clip_that_a_telephone_turned_stands_upright(
    tmp_path: Path, degrees: int, order: tuple[int, int, int, int]
) -> None:
    path = clip(tmp_path / "a.mp4", corners(160, 90), seconds=0.6, turned=degrees)
    size = (160, 90) if degrees == 180 else (90, 160)
    assert near(at_corners(shown(path, 0.3, size)), coded(*order))


def test_pixels_that_are_not_square_and_odd_sizes_fill_the_frame(tmp_path: Path) -> None:
    wide = clip(tmp_path / "wide.mp4", corners(80, 90), seconds=0.6, pixel_aspect=Fraction(2))
    odd = clip(tmp_path / "odd.mkv", corners(161, 91), seconds=0.6, pix_fmt="yuv444p")
    for path in (wide, odd):
        assert near(at_corners(shown(path, 0.3)), coded(0, 1, 2, 3))


def test_nothing_of_a_clip_of_wide_pixels_is_cut_off_that_fits(tmp_path: Path) -> None:
    def striped(time_s: float) -> Pixels:
        picture = corners(80, 90)(time_s)
        picture[:14] = 235
        return picture

    path = clip(tmp_path / "a.mp4", striped, seconds=0.6, pixel_aspect=Fraction(2))
    rows = shown(path, 0.3).y.mean(axis=1)
    assert rows[:12].min() > 190
    assert rows[18:].max() < 170


def test_a_clip_in_the_films_own_size_is_copied_to_the_bit(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", corners(160, 90), seconds=0.6)
    frame = shown(path, 0.0)
    import av  # noqa: PLC0415 - for this once

    with av.open(path) as container:
        planes = next(container.decode(video=0)).to_ndarray()
    assert np.array_equal(frame.y, planes[:90])
    assert np.array_equal(frame.uv[..., 0].ravel(), planes[90:].ravel()[: 80 * 45])
    assert np.array_equal(frame.uv[..., 1].ravel(), planes[90:].ravel()[80 * 45 :])


def test_frames_are_chosen_by_their_time_where_the_rate_varies(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 1.0, 1.9, 1.95, 2.0, 2.9]
    path = clip(tmp_path / "a.mp4", corners(320, 180), times=times)
    playing, frame = Clip(path, Part(0.0), (320, 180)), blank(320, 180)
    for wanted_s in np.arange(0, 2.9, 1 / 30):
        playing.seek(float(wanted_s))
        playing.fill(frame)
        covers_s = max(time for time in times if time <= wanted_s + 1e-3)
        assert bar(frame) == pytest.approx(covers_s / 3, abs=0.03), wanted_s
    playing.close()


def test_a_part_begins_where_it_should_and_runs_at_its_pace(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", corners(320, 180), seconds=2.6, gop=13)
    assert bar(shown(path, 1.0, (320, 180), Part(1.0, 0.8))) == pytest.approx(1.8 / 3, abs=0.03)
    assert bar(shown(path, 1.7, (320, 180), Part(1.0, loop_s=1.5))) == pytest.approx(1.2 / 3, abs=0.03)


def test_what_is_black_at_the_start_and_a_fade_from_it_are_left_out(tmp_path: Path) -> None:
    def level(time_s: float) -> int:
        return int(min(120, max(0.0, (time_s - 0.6) * 240)))

    usable = scout(clip(tmp_path / "a.mp4", grey(160, 90, level), seconds=2.4))
    assert 0.95 <= usable.start_s <= 1.1
    assert usable.end_s == pytest.approx(2.4, abs=0.05)


def test_a_clip_that_turns_black_keeps_its_last_picture_and_says_so(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", grey(160, 90, lambda time_s: 120 if time_s < 0.6 else 0), seconds=1.2)
    playing, frame = Clip(path, Part(0.0), (160, 90)), blank(160, 90)
    for time_s in np.arange(0, 1.2, 1 / 30):
        playing.seek(float(time_s))
    playing.fill(frame)
    playing.close()
    assert np.median(frame.y) > 100
    assert playing.note == "the clip a.mp4 turns black 0.60 s into it; its last picture before that stays"


def test_a_clip_that_breaks_off_keeps_its_last_good_picture_and_says_so(tmp_path: Path) -> None:
    path = Path(clip(tmp_path / "a.mkv", corners(160, 90), seconds=3.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frame, playing = blank(160, 90), Clip(str(path), Part(0.0), (160, 90))
    for time_s in np.arange(0, 3.0, 1 / 30):
        playing.seek(float(time_s))
        playing.fill(frame)
    playing.close()
    assert "ends" in playing.note
    assert near(at_corners(frame)[:2], coded(0, 1))
    assert playing.is_still


def test_a_clip_in_which_nothing_moves_is_known(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", lambda _time: corners(160, 90)(0.0), seconds=1.2)
    still, moving = (Clip(made, Part(0.0), (160, 90)) for made in (path, clip(tmp_path / "b.mp4", corners(160, 90))))
    for time_s in np.arange(0, 1.0, 1 / 30):
        still.seek(float(time_s))
        moving.seek(float(time_s))
    assert (still.is_still, moving.is_still) == (True, False)


def _no_clips(folder: Path) -> dict[str, str]:
    """Files that are no clips, and what is said of each."""
    text, cover = folder / "text.mp4", folder / "cover.jpg"
    text.write_text("<html>not found</html>")
    Image.new("RGB", (64, 36), (200, 30, 30)).save(cover)
    cut = Path(clip(folder / "cut.mp4", corners(64, 36)))
    cut.write_bytes(cut.read_bytes()[:-200])
    garbage = Path(clip(folder / "garbage.mp4", corners(64, 36)))
    head, tail = garbage.read_bytes().split(b"mdat", 1)
    index = tail.index(b"moov") - 4
    garbage.write_bytes(head + b"mdat" + bytes(index) + tail[index:])
    empty = folder / "empty.mp4"
    empty.write_bytes(b"")
    return {
        str(text): r"text\.mp4 is not a clip that can be read",
        str(garbage): r"garbage\.mp4 cannot be decoded",
        str(empty): r"empty\.mp4 is not a clip that can be read",
        str(cut): r"cut\.mp4 is not a clip that can be read",
        str(folder / "gone.mp4"): r"gone\.mp4 is not a clip that can be read",
        song_with_cover(folder / "song.mp3", cover): r"song\.mp3 has no moving picture in it",
        clip(folder / "one.mp4", corners(64, 36), times=[0.0]): r"one\.mp4 holds one picture only",
        clip(
            folder / "short.mp4", corners(64, 36), seconds=0.2
        ): r"short\.mp4 is 0\.20 s long: expected 0\.5 s or more",
        clip(folder / "none.mkv", corners(64, 36), times=[]): r"none\.mkv is not a clip that can be read: End of file",
        clip(folder / "night.mp4", grey(64, 36, lambda _time: 0)): r"night\.mp4 is black all along",
        clip(folder / "long.mkv", corners(8194, 2), times=[0.0], codec="mjpeg", pix_fmt="yuvj420p"): "at most 8192",
    }


def test_what_is_no_clip_is_refused_by_name_before_anything_is_drawn(tmp_path: Path) -> None:
    for path, said in _no_clips(tmp_path).items():
        with pytest.raises(PermanentError, match=said):
            scout(path)


def test_light_is_brought_into_the_films_range_and_hue_is_kept() -> None:
    nits = np.array([[0.0] * 3, [26.0] * 3, [203.0] * 3, [1000.0] * 3, [4000.0] * 3])
    levels = tone_mapping.shown(nits)
    assert levels[:, 0] == pytest.approx(levels[:, 1], abs=0.003)
    assert levels[:, 0] == pytest.approx([0, (26 / 203) ** (1 / 2.4), 0.90, 1, 1], abs=0.01)
    red = tone_mapping.shown(np.array([[500.0, 100.0, 100.0]]))[0]
    assert red[0] > 0.9 > red[1]
    assert red[1] == pytest.approx(red[2], abs=0.1)
    assert tone_mapping.pq_nits(tone_mapping.pq_code(nits[:4])) == pytest.approx(nits[:4], abs=0.01)
    assert tone_mapping.hlg_nits(np.full((1, 3), 0.75)) == pytest.approx(203, abs=1)


@pytest.mark.parametrize(("transfer", "code"), [(tone_mapping.PQ, 148), (tone_mapping.HLG, 191)])
def test_paper_white_of_a_high_range_clip_is_nearly_white_in_the_film(tmp_path: Path, transfer: int, code: int) -> None:
    def painted(time_s: float) -> Pixels:
        return np.full((90, 160, 3), code - int(time_s * 25) % 2, np.uint8)

    path = clip(tmp_path / "a.mp4", painted, seconds=0.6, pix_fmt="yuv420p10le", colours=(9, 9, transfer))
    assert scout(path).start_s == 0
    frame = shown(path, 0.2)
    assert np.abs(frame.y.astype(int) - (16 + 219 * 0.90)).max() <= 6
    assert np.abs(frame.uv.astype(int) - 128).max() <= 2


def test_colours_of_a_high_range_clip_are_those_of_the_table(tmp_path: Path) -> None:
    colour = np.array([180, 90, 60], np.uint8)

    def painted(time_s: float) -> Pixels:
        return np.full((90, 160, 3), colour - np.uint8(time_s * 25) % 2, np.uint8)

    path = clip(tmp_path / "a.mp4", painted, seconds=0.6, pix_fmt="yuv420p10le", colours=(9, 9, tone_mapping.HLG))
    levels = tone_mapping.shown(tone_mapping.hlg_nits(colour[None] / 255))[0]
    wanted = from_rgb(np.full((2, 2, 3), np.round(levels * 255), np.uint8))
    frame = shown(path, 0.2)
    got = (int(frame.y[45, 80]), *map(int, frame.uv[22, 40]))
    assert near([got], [(int(wanted.y[0, 0]), *map(int, wanted.uv[0, 0]))], 4)


def test_a_short_clip_is_slowed_a_little_and_then_others_take_over() -> None:
    clip_s, still_s = longest_s(Usable(0.0, 4.0), 8.0, 0.5), longest_s(None, 8.0, 0.5)
    assert (clip_s, still_s) == (4.5, 8.0)
    assert lengths_s([clip_s], 4.2, 1) == [4.2]
    assert lengths_s([clip_s, still_s], 9.0, 2) == [4.5, 4.5]
    assert lengths_s([clip_s, still_s], 12.0, 2) == [4.5, 7.5]
    assert lengths_s([clip_s], 9.9, 1) == pytest.approx([3.3] * 3)


def test_parts_of_a_clip_follow_one_another_and_never_leave_it() -> None:
    usable, clippings = Usable(0.4, 12.4, (2.0, 4.0)), Clippings()
    first = clippings.part(3, usable, 0.0, 4.0)
    assert first == Part(0.4, 1.0)
    second = clippings.part(3, usable, 3.5, 8.0)
    assert second.source_s == pytest.approx(first.source_s + 3.5)
    later = clippings.part(3, usable, 20.0, 26.0)
    assert later.source_s + 6.0 * later.speed <= usable.end_s + 1e-6
    slowed = Clippings().part(0, Usable(0.0, 4.0), 0.0, 4.8)
    assert slowed.source_s == 0
    assert slowed.speed == pytest.approx(4 / 4.8)
    assert Clippings().part(0, Usable(0.0, 1.0), 0.0, 4.0) == Part(0.0, loop_s=1.0)
    assert Clippings().part(0, Usable(0.0, 20.0, (0.9, 5.0)), 0.0, 4.0) == Part(0.9)


def test_a_copy_is_the_same_picture_without_what_the_file_said_of_itself(tmp_path: Path) -> None:
    import av  # noqa: PLC0415 - for this once

    source = clip(tmp_path / "telephone.mov", corners(160, 90), turned=90)
    with av.open(source) as plain, av.open(str(tmp_path / "owned.mov"), "w") as owned:
        stream = owned.add_stream_from_template(plain.streams.video[0])
        owned.metadata.update({"title": "at home", "location": "+52.5+013.4/"})
        for packet in plain.demux(plain.streams.video[0]):
            if packet.size:
                packet.stream = stream
                owned.mux(packet)
    order = ClipOrder(str(tmp_path / "owned.mov"), str(tmp_path / "copy"))
    made = copy(order, checkpoint=lambda: None, progress=lambda _done, _of: None)
    assert (made.path, made.width, made.height) == (str(tmp_path / "copy.mp4"), 90, 160)
    left = Path(made.path).read_bytes()
    assert b"at home" in Path(order.source).read_bytes()
    assert b"at home" not in left
    assert b"+52.5" not in left
    assert near(at_corners(shown(made.path, 0.3, (90, 160))), coded(1, 2, 3, 0))
    with pytest.raises(PermanentError, match="expected 360 or more on the shorter side"):
        copy(
            ClipOrder(order.source, str(tmp_path / "no"), least_side=360),
            checkpoint=lambda: None,
            progress=lambda _done, _of: None,
        )
