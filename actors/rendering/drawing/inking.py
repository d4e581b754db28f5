"""Lays ink on a patch: coverage and one colour, blended where the patch already is, in NV12.

So a word is recoloured or enlarged without going through RGB and without touching what is beside it. Works in place; a
patch that was handed to a compositor must not be inked any more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np

from actors.rendering.drawing.faces import Ink
from actors.rendering.nv12 import Nv12, Patch, Pixels, patch
from actors.rendering.styles import Colour

_WHOLE: Final = 255
#: Left, top, right and bottom, the latter two not included.
Area = tuple[int, int, int, int]


class Tone(NamedTuple):
    """A colour as the planes hold it."""

    y: int
    u: int
    v: int


def tone(colour: Colour) -> Tone:
    """The colour in NV12."""
    block = patch(np.full((2, 2, 4), (*colour, _WHOLE), np.uint8), 0, 0).colour
    return Tone(int(block.y[0, 0]), int(block.uv[0, 0, 0]), int(block.uv[0, 0, 1]))


def clear(width: int, height: int) -> Patch:
    """A patch of even size with nothing on it."""
    half = (height // 2, width // 2, 2)
    return Patch(
        0,
        0,
        Nv12(np.zeros((height, width), np.uint8), np.zeros(half, np.uint8)),
        Nv12(np.full((height, width), _WHOLE, np.uint8), np.full(half, _WHOLE, np.uint8)),
    )


def copied(whole: Patch) -> Patch:
    """A copy that may be inked."""
    (y, uv), (through_y, through_uv) = whole.colour, whole.through
    return whole._replace(colour=Nv12(y.copy(), uv.copy()), through=Nv12(through_y.copy(), through_uv.copy()))


def placed(ink: Ink | None, pen: tuple[int, int], size: tuple[int, int]) -> Ink | None:
    """The ink of a pen that started there, on an area of this even size: at an even place and of even size itself.

    None where nothing is left of it.
    """
    if ink is None:
        return None
    moved = ink._replace(left=ink.left + pen[0], top=ink.top + pen[1])
    return cropped(moved, (0, 0, *size))


def cropped(ink: Ink, area: Area) -> Ink | None:
    """What of the ink lies in the (even) area, at an even place and of even size; None where nothing does."""
    rows, columns = ink.mask.shape
    left, top = max(ink.left, area[0]), max(ink.top, area[1])
    right, bottom = min(ink.left + columns, area[2]), min(ink.top + rows, area[3])
    if left >= right or top >= bottom:
        return None
    mask = ink.mask[top - ink.top : bottom - ink.top, left - ink.left : right - ink.left]
    padding = (top % 2, bottom % 2, left % 2, right % 2)
    if any(padding):
        mask = np.pad(mask, (padding[:2], padding[2:]))
    return Ink(left - left % 2, top - top % 2, mask)


def around(inks: Sequence[Ink]) -> Area:
    """The smallest area around inks."""
    return (
        min(ink.left for ink in inks),
        min(ink.top for ink in inks),
        max(ink.left + ink.mask.shape[1] for ink in inks),
        max(ink.top + ink.mask.shape[0] for ink in inks),
    )


def scaled(ink: Ink, scale: float, middle: tuple[float, float], size: tuple[int, int]) -> Ink:
    """The ink enlarged around a point, placed to a fraction of a pixel, as far as it lies on an area of this size."""
    if scale == 1:
        return ink
    rows, columns = ink.mask.shape
    left, top = (at + (start - at) * scale for at, start in zip(middle, (ink.left, ink.top), strict=True))
    first = (math.floor(left) // 2 * 2, math.floor(top) // 2 * 2)
    length = tuple(
        math.ceil(end - start) + 1
        for end, start in zip((left + columns * scale, top + rows * scale), first, strict=True)
    )
    # pixels are sampled in their middle
    shift = [start - whole + (scale - 1) / 2 for start, whole in zip((left, top), first, strict=True)]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
    large = np.asarray(cv2.warpAffine(ink.mask, matrix, length, flags=cv2.INTER_LINEAR), np.uint8)
    return cropped(Ink(*first, large), (0, 0, *size)) or ink


def outlined(doubled: Ink, reach_px: float) -> Ink:
    """An outline around letters drawn at twice their size, letters included, reduced to their own."""
    reach = 2 * reach_px
    room = math.ceil(reach) + 2
    rows, columns = doubled.mask.shape
    left, top = (doubled.left - room) // 2 * 2, (doubled.top - room) // 2 * 2
    before = (doubled.top - top, doubled.left - left)
    after = (room + (rows + before[0] + room) % 2, room + (columns + before[1] + room) % 2)
    ink = cv2.copyMakeBorder(doubled.mask, before[0], after[0], before[1], after[1], cv2.BORDER_CONSTANT, value=0)
    away = cv2.distanceTransform(cv2.threshold(ink, 127, 255, cv2.THRESH_BINARY_INV)[1], cv2.DIST_L2, cv2.DIST_MASK_5)
    edge = (np.clip(reach + 0.5 - away, 0, 1) * _WHOLE).astype(np.uint8)
    return Ink(left // 2, top // 2, cv2.resize(edge, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def shadow(inks: Sequence[Ink], size: tuple[int, int], drop: int, blur_px: float, alpha: float) -> Ink:
    """A soft shadow of the inks, somewhat below them, on an area of this size."""
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    for ink in inks:
        part = mask[ink.top : ink.top + ink.mask.shape[0], ink.left : ink.left + ink.mask.shape[1]]
        np.maximum(part, ink.mask, out=part)
    lowered = np.roll(mask, drop, axis=0)
    lowered[:drop] = 0
    soft = cv2.GaussianBlur(lowered, (0, 0), blur_px)
    return Ink(0, 0, np.asarray(cv2.convertScaleAbs(soft, alpha=alpha), np.uint8))


def restore(made: Patch, original: Patch, area: Area) -> None:
    """Put back what the original shows in this even area."""
    left, top, right, bottom = area
    for mine, theirs in ((made.colour, original.colour), (made.through, original.through)):
        mine.y[top:bottom, left:right] = theirs.y[top:bottom, left:right]
        half = np.s_[top // 2 : bottom // 2, left // 2 : right // 2]
        mine.uv[half] = theirs.uv[half]


def lay(under: Patch, ink: Ink, colour: Tone) -> None:
    """Blend the colour into the patch where the ink is; the ink is even and lies within."""
    half = cv2.resize(ink.mask, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    rows, columns = ink.mask.shape
    luma = np.s_[ink.top : ink.top + rows, ink.left : ink.left + columns]
    chroma = np.s_[ink.top // 2 : (ink.top + rows) // 2, ink.left // 2 : (ink.left + columns) // 2]
    for place, mask, shares in ((0, ink.mask, (colour.y,)), (1, cv2.merge([half, half]), (colour.u, colour.v))):
        where = luma if place == 0 else chroma
        through, drawn = under.through[place][where], under.colour[place][where]
        rest = cv2.bitwise_not(mask)
        own = cv2.LUT(mask, _shares(shares))
        drawn[...] = cv2.add(cv2.multiply(drawn, rest, scale=1 / _WHOLE), own)
        through[...] = cv2.multiply(through, rest, scale=1 / _WHOLE)


def _shares(values: tuple[int, ...]) -> Pixels:
    """For every coverage, what of each value it lets through, as a table."""
    table = np.round(np.outer(np.arange(256), values) / _WHOLE).astype(np.uint8)
    return table.reshape(1, 256, len(values))
