"""Views of a picture by OpenCV's fast `resize`, placed to some thousandths of a pixel.

`resize` starts on whole source pixels only, so it is started some output pixels early, where the rounding happens to be
small, and those pixels fall where nobody looks: a `Room` has space for them on two sides, so nothing is copied. Where
no start is near enough, which is at scales close to simple fractions, an affine warp does it, at three times the cost.
Guarantees a worst error of `worst` source pixels; it does not rotate.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import cv2
import numpy as np

from actors.rendering.nv12 import Nv12, Pixels

#: Output pixels that may be thrown away on a side; twice as many would leave half as many views to the warp, and cost
#: as much in rows that nobody sees.
EARLIEST: Final = 120
#: An error of a start that is good enough, as a share of the worst that is taken: a better one would be earlier.
_CLOSE: Final = 0.3
#: Smaller scales give more pixels than a room has to spare.
_LEAST_SCALE: Final = 0.75
_STEPS: Final = np.arange(EARLIEST)
#: Columns before those seen, so that rows begin at addresses that vector units like, and pixels too many at the end.
_MARGIN: Final = 128
_SPARE: Final = 64


class Box(NamedTuple):
    """A part of a frame in pixels, up to and not including `right` and `bottom`."""

    left: int
    top: int
    right: int
    bottom: int

    def of(self, plane: Pixels) -> Pixels:
        """These pixels."""
        return plane[self.top : self.bottom, self.left : self.right]

    def planes(self, picture: Nv12) -> tuple[Pixels, Pixels]:
        """These pixels of luma and chroma."""
        return self.of(picture.y), self.halved().of(picture.uv)

    def and_(self, other: Box) -> Box:
        """The smallest part that holds both; an empty one is nowhere."""
        if self.is_empty or other.is_empty:
            return other if self.is_empty else self
        return Box(*map(min, self[:2], other[:2]), *map(max, self[2:], other[2:]))

    def halved(self) -> Box:
        """The same part of a chroma plane."""
        return Box(self.left // 2, self.top // 2, self.right // 2, self.bottom // 2)

    @property
    def is_empty(self) -> bool:
        """Whether there is no pixel in it."""
        return self.right <= self.left or self.bottom <= self.top


class View(NamedTuple):
    """Output pixels are `scale` source pixels wide, the first from (`left`, `top`) on, and before that is a border."""

    scale: float
    left: float
    top: float


class Room:
    """A plane of undefined content, with space before and behind it for what `resample` throws away."""

    def __init__(self, height: int, width: int, *channels: int) -> None:
        self._whole = np.empty((EARLIEST + height + 2, _MARGIN + width + _SPARE, *channels), np.uint8)
        self.plane: Pixels = self._whole[EARLIEST : EARLIEST + height, _MARGIN : _MARGIN + width]

    def early(self, left: int, top: int, columns: int, rows: int) -> Pixels:
        """So many pixels from this place of the plane on, which may lie before it."""
        return self._whole[EARLIEST + top :, _MARGIN + left :][:rows, :columns]


def border(largest_scale: float) -> int:
    """Source pixels that a picture needs before its first, so that an early start lies within it."""
    return math.ceil(EARLIEST * largest_scale) + 2


def resample(source: Pixels, view: View, room: Room, box: Box, worst: float) -> None:
    """Fill this part of the room, no pixel farther off its place than `worst`, in pixels of `source`.

    Pixels left of the box and above it are undefined afterwards, and two to its right and below.
    """
    scale, left, top = view.scale, view.left + box.left * view.scale, view.top + box.top * view.scale
    (first_x, skip_x, off_x), (first_y, skip_y, off_y) = start(scale, left, worst), start(scale, top, worst)
    if max(off_x, off_y) > worst or scale < _LEAST_SCALE:
        middle = scale / 2 - 0.5
        matrix = np.array([[scale, 0, left + middle], [0, scale, top + middle]])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (box.right - box.left, box.bottom - box.top)
        cv2.warpAffine(source, matrix, size, dst=box.of(room.plane), flags=how, borderMode=cv2.BORDER_REPLICATE)
        return
    columns = _needed(scale, box.right - box.left + skip_x, source.shape[1] - first_x)
    rows = _needed(scale, box.bottom - box.top + skip_y, source.shape[0] - first_y)
    # OpenCV's own way to round, or it would not write where it is told
    shape = (round(columns * (1 / scale)), round(rows * (1 / scale)))
    target = room.early(box.left - skip_x, box.top - skip_y, *shape)
    part = source[first_y : first_y + rows, first_x : first_x + columns]
    cv2.resize(part, None, dst=target, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_LINEAR)


def start(scale: float, edge: float, worst: float) -> tuple[int, int, float]:
    """The whole source pixel to start from, how many output pixels to throw away, and the error in source pixels.

    Output pixel i of a resize that starts at s shows source s + (i + 1/2) * scale - 1/2. Wanted is that pixel k shows
    what pixel 0 of a start at `edge` would: s = edge - k * scale. Of all k the first is taken for which s is whole.
    """
    starts = edge - _STEPS * scale
    whole = np.round(starts)
    errors = np.abs(starts - whole)
    close = errors < _CLOSE * worst
    skip = int(close.argmax())
    if not close[skip]:
        skip = int(errors.argmin())
    return int(whole[skip]), skip, float(errors[skip])


def _needed(scale: float, count: int, there: int) -> int:
    """Source pixels from which `resize` makes `count` pixels without touching the end of them, if there are so many."""
    return min(math.floor((count - 0.5) * scale - 0.5) + 2, there)
