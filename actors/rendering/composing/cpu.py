"""The compositor for a machine without a GPU: OpenCV on one thread, NV12 from the prepared picture to the frame.

Views are placed to about a hundredth of a pixel. OpenCV's fast `resize` starts on whole source pixels only, so it is
started a few output pixels early, where the rounding happens to be small, and those pixels are thrown away; that is
half the cost of an affine warp (see `_start`). It does not rotate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import av
import cv2
import numpy as np

from actors.rendering.composing.compositor import Canvas, Layer, slope
from actors.rendering.nv12 import Nv12, Patch, Pixels, blank, from_rgb, video_frame
from actors.rendering.planning.framing import LARGEST_ZOOM

#: Pictures are prepared this much larger than the largest zoom needs: near a scale of 1 no start would do. The odd
#: figure keeps its multiples far from whole numbers.
_OVERSIZE = 1.0684
#: Output pixels that may be thrown away, and the error of the start that is good enough, source pixels.
_EARLIEST = 80
_CLOSE = 0.01
#: Put around a picture, so that an early start lies within it.
_BORDER = math.ceil(_EARLIEST * _OVERSIZE * LARGEST_ZOOM) + 2
_STEPS = np.arange(_EARLIEST)


class CpuCompositor:
    """Frames of `width` x `height`."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        # The encoder has the cores; more threads here only wait for each other.
        cv2.setNumThreads(1)

    def canvas_size(self) -> tuple[int, int]:
        """Width and height to which a picture must be sized before it is prepared."""
        scale = LARGEST_ZOOM * _OVERSIZE
        return math.ceil(self._width * scale / 2) * 2, math.ceil(self._height * scale / 2) * 2

    def prepare(self, rgb: Pixels) -> Canvas:
        """The picture in NV12, with its edge pixels repeated around it."""
        height, width = rgb.shape[:2]
        y, uv = (
            cv2.copyMakeBorder(plane, _BORDER, 2, _BORDER, 2, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
            for plane in from_rgb(rgb).planes()
        )
        return Canvas(Nv12(y, uv), width, height, slope(y))

    def compose(self, layers: Sequence[Layer], patches: Sequence[tuple[Patch, float]]) -> Nv12:
        """A new frame: the layers from the lowest up, then the patches with their opacity, 0 to 1."""
        frame = blank(self._width, self._height)
        for place, layer in enumerate(layers):
            for target, view in zip(frame.planes(), self._view(layer), strict=True):
                if place == 0:
                    np.copyto(target, view)
                else:
                    cv2.addWeighted(target, 1 - layer.weight, view, layer.weight, 0, dst=target)
        for patch, opacity in patches:
            _lay(frame, patch, opacity)
        return frame

    def frame(self, picture: Nv12) -> av.VideoFrame:
        """What was composed, as libx264 takes it."""
        return video_frame(picture)

    def _view(self, layer: Layer) -> tuple[Pixels, Pixels]:
        """The part of a picture that the layer shows, luma and chroma."""
        canvas = layer.canvas
        scale, left, top = layer.view(self._width, self._height)
        luma = resample(canvas.picture.y, scale, (left, top), (self._width, self._height), _BORDER)
        half = (self._width // 2, self._height // 2)
        chroma = resample(canvas.picture.uv, scale, (left / 2, top / 2), half, _BORDER)
        return luma, chroma


def resample(plane: Pixels, scale: float, corner: tuple[float, float], size: tuple[int, int], border: int) -> Pixels:
    """`size` output pixels, each `scale` source pixels wide, from the sub-pixel `corner` on (x before y).

    `plane` has `border` pixels of its own before the picture's first; the corner counts from the picture.
    """
    (left, skip_x), (top, skip_y) = (_start(scale, edge + border) for edge in corner)
    width, height = size
    right = left + math.ceil((width + skip_x) * scale) + 1
    bottom = top + math.ceil((height + skip_y) * scale) + 1
    part = plane[top:bottom, left:right]
    view = cv2.resize(part, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_LINEAR)
    view = view[skip_y : skip_y + height, skip_x : skip_x + width]
    if view.shape[:2] == (height, width):
        return view.astype(np.uint8, copy=False)
    # At the far edge the picture may end a fraction of a pixel early.
    more = (0, height - view.shape[0], 0, width - view.shape[1])
    return cv2.copyMakeBorder(view, *more, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


def _start(scale: float, edge: float) -> tuple[int, int]:
    """The whole source pixel to start from, and how many output pixels to throw away.

    Output pixel i of a resize that starts at s shows source s + (i + 1/2) * scale - 1/2. Wanted is that pixel k shows
    what pixel 0 of a start at `edge` would: s = edge - k * scale. Of all k the first is taken for which s is whole.
    """
    starts = edge - _STEPS * scale
    whole = np.round(starts)
    error = np.abs(starts - whole)
    close = np.flatnonzero(error < _CLOSE)
    skip = int(close[0]) if close.size else int(error.argmin())
    return int(whole[skip]), skip


def _lay(frame: Nv12, patch: Patch, opacity: float) -> None:
    """Blend a patch into the frame, in place."""
    for shift, target, colour, through in zip(
        (0, 1), frame.planes(), patch.colour.planes(), patch.through.planes(), strict=True
    ):
        height, width = colour.shape[:2]
        left, top = patch.left >> shift, patch.top >> shift
        under = target[top : top + height, left : left + width]
        if opacity < 1:
            weaker = cv2.convertScaleAbs(colour, alpha=opacity)
            clearer = cv2.convertScaleAbs(through, alpha=opacity, beta=255 * (1 - opacity))
            cv2.add(cv2.multiply(under, clearer, scale=1 / 255), weaker, dst=under)
        else:
            cv2.add(cv2.multiply(under, through, scale=1 / 255), colour, dst=under)
