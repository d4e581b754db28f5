"""The picture under which a film is found: one strong picture, cropped hard, and a few big words beside what is in it.

Guarantees that the words are read on any picture (they stand on the style's own ground) and keep clear of the corner
where players print the length. What is worth looking at is measured, not understood.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from actors.rendering.drawing import interest, stills
from actors.rendering.drawing.contrast import read_on
from actors.rendering.drawing.fonts import Font, drawable
from actors.rendering.drawing.sheet import eased
from actors.rendering.drawing.typesetting import Block, bounds, halo, set_lines, write
from actors.rendering.nv12 import Pixels
from actors.rendering.planning.plan import Plan
from actors.rendering.styles import Colour, Style

_LONG_SIDE, _SHORT_SIDE = 1280, 720
#: Pictures are judged this large.
_LOOKED_AT: Final = 96
#: How much closer than the whole picture the crop goes.
_CLOSER: Final = 1.2
_MOST_WORDS, _MOST_LINES = 8, 5
#: Hides the picture behind words.
_GROUND, _BEHIND_LETTERS = 0.86, 0.82
_FONT_PX: Final = 200
#: What follows these explains what stands before: a colon, a dash (en, em) or a bar.
_PARTS: Final = re.compile(r"\s*[:\u2013\u2014|]\s+")


class _Room(NamedTuple):
    """Where the words go: left, top, width and height, in pixels; the other part is the picture's."""

    left: float
    top: float
    width: float
    height: float


def most_striking(pictures: Sequence[str]) -> str:
    """The picture with the most color, contrast and something to look at."""
    return max(pictures, key=lambda path: _strength(stills.thumbnail(path, interest.SIDE)[0]))


def thumbnail(film: Plan, picture: Path, style: Style, font: Font) -> Pixels:
    """RGB, 1280 x 720 or upright; `font` is the style's for titles, and has the film's own title's letters."""
    upright = film.height > film.width
    size = (_SHORT_SIDE, _LONG_SIDE) if upright else (_LONG_SIDE, _SHORT_SIDE)
    large = stills.load(str(picture), round(size[0] * _CLOSER), round(size[1] * _CLOSER))
    room, seen = _composed(large, size)
    seen = _graded(seen)
    title = next((card.text for card in film.cards if card.kind == "title"), "")
    words = _few(drawable(title))
    if not words:
        return seen
    set_ = _biggest(words.upper() if style.title_capitals else words, font, style, room)
    return _lettered(seen, set_, room, style)


def _strength(small: Pixels) -> float:
    """Colorfulness (Hasler and Suesstrunk), contrast, and how much one place stands out; darkness counts against it."""
    red, green, blue = (small[..., at].astype(np.float32) for at in range(3))
    warm, cool = red - green, (red + green) / 2 - blue
    colorful = np.hypot(warm.std(), cool.std()) + 0.3 * np.hypot(warm.mean(), cool.mean())
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    standing_out = _interest(small)
    peak = np.percentile(standing_out, 95) / (standing_out.mean() + 1e-3)
    return float(colorful / 60 + grey.std() / 55 + peak / 4 - max(0.0, 60 - grey.mean()) / 40)


def _interest(pixels: Pixels) -> NDArray[np.float32]:
    """How far each place is from the picture's mean color, and how much goes on there (small; mean 1)."""
    small = (
        cv2.resize(pixels, None, fx=1 / 4, fy=1 / 4, interpolation=cv2.INTER_AREA)
        if max(pixels.shape) > 4 * _LOOKED_AT
        else pixels
    )
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    soft = cv2.GaussianBlur(lab, (0, 0), max(1.0, min(small.shape[:2]) / 40))
    apart = np.linalg.norm(soft - lab.mean(axis=(0, 1)), axis=2)
    busy = cv2.GaussianBlur(np.abs(lab[..., 0] - soft[..., 0]), (0, 0), max(1.0, min(small.shape[:2]) / 20))
    both = apart / (apart.mean() + 1e-3) + busy / (busy.mean() + 1e-3)
    # Heads are rather above the middle, and what is at the edge is rather by chance.
    rows, columns = (np.linspace(-1, 1, count, dtype=np.float32) for count in both.shape)
    interest: NDArray[np.float32] = (both / 2) ** 2 * (1.15 - 0.4 * (rows[:, None] + 0.3) ** 2 - 0.3 * columns**2)
    return interest


def _composed(large: Pixels, size: tuple[int, int]) -> tuple[_Room, Pixels]:
    """The crop and the place of the words for which the most of what is looked at lies outside of them."""
    width, height = size
    interest = cv2.resize(_interest(large), large.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    summed = np.pad(interest, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)

    def within(left: float, top: float, wide: float, tall: float) -> float:
        x0, y0, x1, y1 = (round(value) for value in (left, top, left + wide, top + tall))
        return float(summed[y1, x1] - summed[y0, x1] - summed[y1, x0] + summed[y0, x0])

    spare = (large.shape[1] - width, large.shape[0] - height)
    steps = [(spare[0] * x // 6, spare[1] * y // 6) for x, y in itertools.product(range(7), range(7))]
    options = [(room, at) for room in _rooms(size) for at in steps]

    def worth(option: tuple[_Room, tuple[int, int]]) -> float:
        room, (left, top) = option
        hidden = within(left + room.left, top + room.top, room.width, room.height)
        return within(left, top, width, height) - 1.8 * hidden

    room, (left, top) = max(options, key=worth)
    return room, np.ascontiguousarray(large[top : top + height, left : left + width])


def _rooms(size: tuple[int, int]) -> list[_Room]:
    """Where words may go: at the left or the right; in an upright frame above or in the lower middle."""
    width, height = size
    if height > width:
        return [_Room(0.07 * width, top * height, 0.80 * width, 0.42 * height) for top in (0.08, 0.34)]
    return [_Room(left * width, 0.10 * height, 0.52 * width, 0.76 * height) for left in (0.045, 0.435)]


def _graded(pixels: Pixels) -> Pixels:
    """A little more contrast and color: it is seen small, among others."""
    scaled = np.arange(256) / 255
    curve = scaled + 0.35 * scaled * (1 - scaled) * (2 * scaled - 1)
    curved = cv2.LUT(pixels, np.round(255 * curve).astype(np.uint8))
    vivid = 1.22 * np.eye(3) - 0.22 * np.asarray((0.2126, 0.7152, 0.0722))
    return cv2.transform(curved, vivid).astype(np.uint8, copy=False)


def _few(title: str) -> str:
    """What is big enough to be read: the title's first part, without a full stop."""
    first = _PARTS.split(title)[0] if len(title.split()) > _MOST_WORDS // 2 else title
    words = first.rstrip(".").split()
    return " ".join(words) if len(words) <= _MOST_WORDS else " ".join(words[:_MOST_WORDS]).rstrip(",;") + "…"


def _biggest(words: str, font: Font, style: Style, room: _Room) -> Block:
    """The words in the number of lines in which they are largest."""
    face = font.face(_FONT_PX, style.title_weight)
    pieces = words.split()
    cap, step = -bounds(face, "H")[1], _leading(style) * _FONT_PX
    best: tuple[float, list[str]] = (0.0, [words])
    for count in range(1, min(_MOST_LINES, len(pieces)) + 1):
        for cuts in itertools.combinations(range(1, len(pieces)), count - 1):
            lines = [" ".join(pieces[first:end]) for first, end in itertools.pairwise([0, *cuts, len(pieces)])]
            wide = max(map(face.getlength, lines))
            size = min(room.width / max(wide, 1), room.height / (cap + step * (count - 1)))
            best = max(best, (size, lines))
    size_px = _FONT_PX * min(best[0], 0.40 * room.width / _FONT_PX)
    while True:
        set_ = set_lines(font.face(max(8, int(size_px)), style.title_weight), best[1], _leading(style), "left")
        if set_.height <= room.height or size_px <= room.height / 20:  # tall scripts need more between lines
            return set_
        size_px *= 0.94


def _leading(style: Style) -> float:
    """Closer than in the film: there are few words."""
    return max(0.94, style.title_leading - 0.06) if style.title_layout != "blocks" else style.title_leading + 0.06


def _lettered(pixels: Pixels, set_: Block, room: _Room, style: Style) -> Pixels:
    """The picture with the words on it, the last line in the accent."""
    size = (pixels.shape[1], pixels.shape[0])
    at_left = room.left < size[0] / 4
    left = room.left if at_left else room.left + room.width - set_.width
    at = (left, room.top + (room.height - set_.height) / 2)
    shape = Image.new("RGBA", size, (255, 255, 255, 0))
    for line in set_.lines:
        write(ImageDraw.Draw(shape), (at[0] + line.left, at[1] + line.baseline), line.text, set_.face, (255,) * 3)
    covered = np.asarray(np.asarray(shape.getchannel("A")) / 255, np.float32)
    if style.title_layout in {"blocks", "panel"}:
        image = Image.fromarray(pixels)
    else:
        alpha = 1 - (1 - _fall(size, set_, at, from_left=at_left)) * (
            1 - halo(covered, set_.size_px * 1.2, _BEHIND_LETTERS)
        )
        scrim = np.asarray(style.scrim, np.float32)
        image = Image.fromarray((pixels + (scrim - pixels) * alpha[..., None] + 0.5).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    cap, aside = -bounds(set_.face, "H")[1], 0.16 * set_.size_px
    if style.title_layout == "panel":
        edges = (
            at[0] - 2 * aside,
            at[1] - 2 * aside,
            at[0] + set_.width + 2 * aside,
            at[1] + set_.height + 2.6 * aside,
        )
        draw.rectangle(edges, fill=style.scrim)
        draw.rectangle((edges[0] - 0.9 * aside, edges[1], edges[0], edges[3]), fill=style.accent)
    for place, line in enumerate(set_.lines):
        lit = place == len(set_.lines) - 1
        colour: Colour = style.accent if lit else style.text
        if style.title_layout == "blocks":
            ground = style.accent if lit else style.scrim
            upper, right = at[1] + line.baseline - cap - aside, at[0] + line.width + aside
            draw.rectangle((at[0] - aside, upper, right, at[1] + line.baseline + aside), fill=ground)
            colour = read_on(ground, (style.text, style.scrim))
        write(draw, (at[0] + line.left, at[1] + line.baseline), line.text, set_.face, colour)
    return np.asarray(image)


def _fall(size: tuple[int, int], set_: Block, at: tuple[float, float], *, from_left: bool) -> NDArray[np.float32]:
    """How dark the ground is: most at the words' own side of the frame, nothing beyond them."""
    down, across = np.ogrid[: size[1], : size[0]]
    if size[1] > size[0]:
        away = np.abs(down - (at[1] + set_.height / 2)) / np.float32(set_.height / 2 + 0.22 * size[1])
        alpha = eased(np.asarray(1.35 * (1 - away), np.float32)) * _GROUND
        return np.broadcast_to(alpha, size[::-1]).astype(np.float32)
    edge = at[0] + set_.width + 0.26 * size[0] if from_left else size[0] - at[0] + 0.26 * size[0]
    along = across if from_left else size[0] - across
    alpha = eased(np.asarray(1.25 * (edge - along) / edge, np.float32)) * _GROUND
    return np.broadcast_to(alpha, size[::-1]).astype(np.float32)
