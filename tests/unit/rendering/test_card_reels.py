"""Clips decoded on a card that is played, next to the same clips decoded by the CPU."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ctypes.util import find_library
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import cv2
import numpy as np
import pytest

from actors.rendering.composing.card import Card
from actors.rendering.composing.compositor import Layer
from actors.rendering.composing.gpu import GpuCompositor
from actors.rendering.drawing.clips import Clip
from actors.rendering.nv12 import Nv12, Pixels, blank
from actors.rendering.planning.clipping import Part
from tests.fakes.card import FakeCupy, Stream
from tests.unit.rendering.clips_made import Paint, clip, grey

SIZE = (160, 90)
#: Why the CPU decodes a clip: its size, and how else it is made.
UNFIT: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {
    "its colours are not of BT.709": (SIZE, {"colours": (6, 6, 6)}),
    "its colours are of full range": (SIZE, {"full_range": True}),
    "its pictures are p010le, not nv12": (SIZE, {"pix_fmt": "yuv420p10le"}),
    "its light is of a high range": (SIZE, {"colours": (1, 9, 18)}),
    "its pictures are turned": (SIZE, {"turned": 180}),
    "its pixels are not square": ((80, 90), {"pixel_aspect": Fraction(2)}),
    "its pictures are enlarged": ((128, 72), {}),
    "its pictures are reduced to less than half": ((480, 270), {}),
    "its pictures do not have the film's shape exactly": ((200, 114), {}),
}


def lively(width: int, height: int) -> Paint:
    """Colours and edges everywhere, and all of it moves."""
    dice = np.random.default_rng(7)
    noise = cv2.GaussianBlur(dice.integers(0, 256, (height, width, 3), np.uint8), (0, 0), 1.2)

    def painted(time_s: float) -> Pixels:
        return np.ascontiguousarray(np.roll(noise, round(time_s * 50), axis=1).astype(np.uint8))

    return painted


def on_card(shown: Clip, made: GpuCompositor) -> Nv12:
    """A frame that shows the clip as it is, composed on the card."""
    return made.compose([Layer(made.moving(shown), 1.0, 0.5, 0.5, 1.0)], [])


def by_cpu(shown: Clip, size: tuple[int, int] = SIZE) -> Nv12:
    frame = blank(*size)
    shown.fill(frame)
    return frame


def levels_off(one: Nv12, other: Nv12) -> int:
    return max(int(np.abs(np.asarray(a).astype(int) - b).max()) for a, b in zip(one, other, strict=True))


@pytest.fixture
def plain(tmp_path: Path) -> str:
    """A clip of the film's own size, 15 pictures."""
    return clip(tmp_path / "a.mp4", lively(*SIZE), seconds=0.6)


def test_no_picture_of_a_clip_that_the_card_decodes_is_copied(cupy: FakeCupy, card: Card, plain: str) -> None:
    made = GpuCompositor(card, *SIZE, stays=True)
    with ThreadPoolExecutor(1) as ahead:  # as films open them
        shown = ahead.submit(Clip, plain, Part(0.0), SIZE, card).result()
    before = cupy.counts.copy()
    for number in range(18):
        shown.seek(number / 30)
        made.frame(on_card(shown, made))
    spent = cupy.counts - before
    assert (spent["launched"], spent["up"], spent["down"]) == (18, 0, 0)
    assert shown.by_cpu == ""
    # what is black and what stands still is seen in a small look at each picture, however often it is shown
    assert 0 < spent["looked"] <= 15
    assert cupy.largest_look_bytes <= 160 * 90
    assert card.stream.waited == [Stream.null] * 18, "a launch must wait for the decoders' stream"


@pytest.mark.parametrize(
    "filmed",
    [(160, 80), (240, 120), (320, 160), (264, 120), (240, 136)],
    ids=["as it is", "reduced", "to half", "cut at the sides", "cut above and below"],
)
def test_what_the_card_decodes_is_shown_as_the_cpu_shows_it(
    card: Card, tmp_path: Path, filmed: tuple[int, int]
) -> None:
    path, size = clip(tmp_path / "a.mp4", lively(*filmed), seconds=0.4), (160, 80)
    made = GpuCompositor(card, *size, stays=True)
    one, other = Clip(path, Part(0.0), size, card), Clip(path, Part(0.0), size)
    for time_s in (0.0, 0.1, 0.3):
        one.seek(time_s)
        other.seek(time_s)
        off = levels_off(on_card(one, made), by_cpu(other, size))
        assert off <= (0 if filmed == size else 1), time_s
        assert np.array_equal(one._pictures.look(one._now), other._pictures.look(other._now))
    assert one.by_cpu == ""
    assert one.on_card() is not None


@pytest.mark.parametrize("why", UNFIT)
def test_what_the_card_would_show_otherwise_is_decoded_by_the_cpu_and_says_why(
    cupy: FakeCupy, card: Card, tmp_path: Path, why: str
) -> None:
    filmed, coded = UNFIT[why]
    path = clip(tmp_path / "a.mp4", lively(*filmed), seconds=0.2, **coded)
    made = GpuCompositor(card, *SIZE, stays=True)
    one, other = Clip(path, Part(0.0), SIZE, card), Clip(path, Part(0.0), SIZE)
    assert levels_off(on_card(one, made), by_cpu(other)) == 0
    assert one.by_cpu == f"the clip a.mp4 is decoded by the CPU: {why}"
    assert cupy.decoder.held == 0, "its picture on the card is held"


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (av.error.PermissionError(1, "Operation not permitted"), "PermissionError: Operation not permitted"),
        (RuntimeError("no stream is compatible"), "RuntimeError: no stream is compatible"),
        (None, "the card has no decoder for h264"),
    ],
)
def test_a_card_that_cannot_decode_leaves_it_to_the_cpu_and_says_why(
    cupy: FakeCupy, card: Card, plain: str, refused: Exception | None, why: str
) -> None:
    cupy.decoder.refuses, cupy.decoder.knows = refused, refused is not None
    shown = Clip(plain, Part(0.0), SIZE, card)
    assert shown.on_card() is None
    assert shown.by_cpu.startswith("the clip a.mp4 is decoded by the CPU: ")
    assert shown.by_cpu.endswith(why)


def test_edges_that_a_decoder_on_the_card_does_not_cut_off_are_not_shown(
    cupy: FakeCupy, card: Card, plain: str
) -> None:
    cupy.decoder.uncut = 8
    shown = Clip(plain, Part(0.0), SIZE, card)
    assert shown.on_card() is None
    assert shown.by_cpu.endswith("its pictures have edges to cut off")


@pytest.mark.usefixtures("cupy")
@pytest.mark.skipif(find_library("cuda") is not None, reason="there is an NVIDIA driver")
def test_pyav_takes_what_it_is_told_and_says_that_there_is_no_driver(
    card: Card, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(av, "open", av.container.open)
    shown = Clip(plain, Part(0.0), SIZE, card)
    assert shown.on_card() is None
    assert "the card's decoder cannot be opened: PermissionError: " in shown.by_cpu


def shown_twice(path: str, card: Card, part: Part) -> Iterator[tuple[Clip, Clip, int]]:
    """The clip on the card and by the CPU, frame by frame, and how far they are off each other."""
    made = GpuCompositor(card, *SIZE, stays=True)
    one, other = Clip(path, part, SIZE, card), Clip(path, part, SIZE)
    for number in range(30):
        one.seek(number / 30)
        other.seek(number / 30)
        yield one, other, levels_off(on_card(one, made), by_cpu(other))
    one.close()
    other.close()


@pytest.mark.parametrize(
    ("after", "part"),
    [
        (0, Part(0.0)),
        (1, Part(0.1)),
        (9, Part(0.1)),
        (14, Part(0.0)),
        (2, Part(0.0, loop_s=0.5)),
        (13, Part(0.0, loop_s=0.5)),
    ],
    ids=["at the first", "before the part", "in the part", "at the last", "in a round", "at the second round"],
)
def test_a_decoder_that_fails_in_mid_clip_is_followed_by_the_cpu_from_the_same_picture(
    cupy: FakeCupy, card: Card, plain: str, after: int, part: Part
) -> None:
    cupy.decoder.fails_after = after
    for one, other, off in shown_twice(plain, card, part):
        assert off == 0
        assert one.is_still == other.is_still
    assert one.note == other.note
    assert one.on_card() is None
    assert one.by_cpu.endswith("the card's decoder failed: ExternalError: Generic error in an external library")


def test_a_clip_that_turns_black_or_breaks_off_says_the_same_from_the_card(card: Card, tmp_path: Path) -> None:
    def darkening(time_s: float) -> int:
        return 120 if time_s < 0.4 else 0

    black = clip(tmp_path / "black.mp4", grey(*SIZE, darkening), seconds=0.6)
    broken = Path(clip(tmp_path / "broken.mkv", lively(*SIZE), seconds=1.0))
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    for path in (black, str(broken)):
        *_, (one, other, _) = both = list(shown_twice(path, card, Part(0.0)))
        assert [off for _, _, off in both] == [0] * 30
        assert one.note == other.note != ""
        assert one.is_still == other.is_still
        assert one.by_cpu == ""


def test_pictures_are_held_until_the_card_has_read_them_and_no_longer(cupy: FakeCupy, card: Card, plain: str) -> None:
    made, shown, decoder = GpuCompositor(card, *SIZE, stays=True), Clip(plain, Part(0.0), SIZE, card), cupy.decoder
    assert decoder.held == 2, "the picture that is shown, and the next one"
    cupy.lags = True
    for number in range(3):
        shown.seek(number / 25)
        on_card(shown, made)
    assert decoder.held == 4, "and two that launches may still be reading"
    for number in range(3, 15):
        shown.seek(number / 25)
        on_card(shown, made)
    assert decoder.most_held <= 11, "a card that is far behind must be waited for"
    shown.close()
    del shown
    assert decoder.held == 8
    cupy.lags = False
    made.compose([Layer(made.prepare(np.zeros((180, 320, 3), np.uint8)), 1.0, 0.5, 0.5, 1.0)], [])
    gc.collect()
    assert decoder.held == 0
