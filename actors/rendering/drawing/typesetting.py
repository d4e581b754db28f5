"""Titles as a typographer sets them: lines of even length, close together, aligned by their ink.

A block is measured from the capitals of its first line to the foot of its last, so that what is beside it can be set
by eye and not by the font's own, roomy boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from actors.rendering.drawing import lettering
from actors.rendering.drawing.fonts import Face, Font
from actors.rendering.drawing.lettering import fitted
from actors.rendering.drawing.patches import Alpha, image_patch
from actors.rendering.nv12 import Patch
from actors.rendering.styles import Align, Colour

_SHRINK: Final = 0.94
#: Lines keep this much air between their inks at least, by the size of the text.
_AIR: Final = 0.05
#: Shadows are made this many times smaller.
_COARSE: Final = 4
#: A last line shorter than this share of the longest is an orphan; and how much smaller a block may be to save it.
_ORPHAN, _TO_JOIN = 0.5, 0.86


class Line(NamedTuple):
    """One line of a block: where its pen starts and its baseline lies, counted from the block's corner, in pixels."""

    text: str
    left: float
    baseline: float
    width: float


class Block(NamedTuple):
    """Lines that belong together."""

    face: Face
    size_px: int
    lines: tuple[Line, ...]
    width: float
    height: float


class Setting(NamedTuple):
    """How a text is to be set: at most so large and in so much room (width and height), all in pixels."""

    weight: int
    size_px: float
    room: tuple[float, float]
    most_lines: int
    leading: float = 1.08
    align: Align = "left"


def block(text: str, font: Font, how: Setting) -> Block:
    """The text as large as its setting allows."""
    size = how.size_px
    found = _at(size, text, font, how)
    while found.height > how.room[1] and size > how.size_px / 4:
        size *= _SHRINK
        found = _at(size, text, font, how)
    if len(found.lines) > 1 and found.lines[-1].width < _ORPHAN * found.width:
        # A last word by itself looks forgotten: a little smaller, it may join the others.
        smaller = _at(size * _TO_JOIN, text, font, how)
        if len(smaller.lines) < len(found.lines):
            return smaller
    return found


def _at(size_px: float, text: str, font: Font, how: Setting) -> Block:
    face, broken = fitted(
        text, font, weight=how.weight, size_px=round(size_px), width_px=how.room[0], most_lines=how.most_lines
    )
    return set_lines(face, broken, how.leading, how.align)


def set_lines(face: Face, broken: Sequence[str], leading: float, align: Align) -> Block:
    """These lines, one below the other."""
    size = int(face.size)
    boxes = [bounds(face, line) for line in broken]
    wide = max((box[2] - box[0] for box in boxes), default=0)
    baseline = -bounds(face, "H")[1]
    lines: list[Line] = []
    for place, (line, box) in enumerate(zip(broken, boxes, strict=True)):
        if place:
            # Scripts with tall marks need more than the style's leading.
            baseline += max(leading * size, boxes[place - 1][3] - box[1] + _AIR * size)
        inset = {"left": 0.0, "centre": (wide - (box[2] - box[0])) / 2}[align]
        lines.append(Line(line, inset - box[0], baseline, box[2] - box[0]))
    return Block(face, size, tuple(lines), wide, baseline)


def ink(
    set_: Block, places: Sequence[int], at: tuple[float, float], colour: Colour, frame: tuple[int, int]
) -> tuple[Patch, Alpha]:
    """Some lines of the block as a patch in a frame of this size, the block's corner at `at`; and their shape in it."""
    ascent, descent = set_.face.getmetrics()
    aside = set_.size_px // 4 + 2
    top = round(at[1] + set_.lines[places[0]].baseline) - ascent - aside
    left = round(at[0]) - aside
    top, left = top // 2 * 2, left // 2 * 2
    bottom = round(at[1] + set_.lines[places[-1]].baseline) + descent + aside
    image = Image.new("RGBA", (round(set_.width) + 2 * aside + 2, bottom - top), (*colour, 0))
    draw = ImageDraw.Draw(image)
    for line in map(set_.lines.__getitem__, places):
        pen = (at[0] + line.left - left, at[1] + line.baseline - top)
        write(draw, pen, line.text, set_.face, colour)
    # Only what is inked is carried: clear margins cost as much to lay as letters.
    inked = image.getchannel("A").getbbox() or (0, 0, 2, 2)
    box = (inked[0] // 2 * 2, inked[1] // 2 * 2, (inked[2] + 1) // 2 * 2, (inked[3] + 1) // 2 * 2)
    shape = np.zeros((frame[1], frame[0]), np.float32)
    letters = np.asarray(image.getchannel("A"), np.float32) / 255
    rows, columns = (
        slice(max(top, 0), min(top + image.height, frame[1])),
        slice(max(left, 0), min(left + image.width, frame[0])),
    )
    shape[rows, columns] = letters[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return image_patch(image.crop(box), left + box[0], top + box[1], frame), shape


def write(draw: ImageDraw.ImageDraw, pen: tuple[float, float], line: str, face: Face, colour: Colour) -> None:
    """One line of text, its baseline beginning at `pen`."""
    lettering.write(draw, (pen[0], pen[1] - face.getmetrics()[0]), line, face, (*colour, 255))


def bounds(face: Face, line: str) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what is inked, counted from where the baseline begins."""
    inked = face.ink([glyph for word in face.line([line]).words for glyph in word])
    if inked is None:
        return 0.0, 0.0, 0.0, 0.0
    return inked.left, inked.top, inked.left + inked.mask.shape[1], inked.top + inked.mask.shape[0]


def halo(shape: Alpha, size_px: float, strength: float) -> Alpha:
    """A soft shadow close around letters, 0 to `strength`."""
    small = cv2.resize(shape, None, fx=1 / _COARSE, fy=1 / _COARSE, interpolation=cv2.INTER_AREA)
    reach = max(1, round(size_px * 0.12 / _COARSE)) * 2 + 1
    wide = cv2.dilate(np.minimum(small * np.float32(3), 1), np.ones((reach, reach), np.uint8))
    soft = cv2.GaussianBlur(wide, (0, 0), max(0.6, size_px * 0.12 / _COARSE)) * np.float32(strength)
    return np.asarray(cv2.resize(soft, shape.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
