"""The compositor for a machine without a GPU: OpenCV on one thread, NV12 from the prepared picture to the frame.

Views are written straight into the frame and placed to some thousandths of a pixel (see resampling.py); only where
layers meet are pixels mixed. It does not rotate. A frame's planes lie in two allocations, which libx264 takes as well
as one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import av
import cv2
import numpy as np
from cv2.typing import MatLike

from actors.rendering.composing.compositor import Canvas, Fills, Layer, slope
from actors.rendering.composing.covers import weights, zones
from actors.rendering.composing.resampling import Box, Room, View, border, resample
from actors.rendering.nv12 import Nv12, Patch, Pixels, from_rgb, video_frame
from actors.rendering.planning.framing import LARGEST_ZOOM

#: Pictures are prepared this much larger than the largest zoom needs: near a scale of 1 no start would do. The odd
#: figure keeps its multiples far from whole numbers.
_OVERSIZE: Final = 1.0684
#: Put around a picture, so that an early start lies within it.
_BORDER: Final = border(_OVERSIZE * LARGEST_ZOOM)
#: How far a view may be off its place, source pixels of luma and of chroma: jitter is seen in luma.
_WORST: Final = (0.02, 0.05)


class CpuCompositor:
    """Frames of `width` x `height`."""

    #: Clips are decoded by the CPU.
    card: Final = None

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        #: Where layers that are mixed with others are looked at first, and patches multiplied.
        self._aside = self._rooms()
        self._product = np.empty(width * height, np.uint8)
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

    def moving(self, picture: Fills) -> Canvas:
        """It is asked to fill the very planes that it is wanted in, so it is written once and resampled nowhere."""
        return Canvas(picture, self._width, self._height, 0.0)

    def compose(self, layers: Sequence[Layer], patches: Sequence[tuple[Patch, float]]) -> Nv12:
        """A new frame: the layers from the lowest up, then the patches with their opacity, 0 to 1."""
        rooms = self._rooms()
        frame, whole = Nv12(*(room.plane for room in rooms)), Box(0, 0, self._width, self._height)
        lowest, *others = layers
        bared = zones(others[0], self._width, self._height).bared(whole) if len(others) == 1 else whole
        self._look(lowest, rooms, bared)
        for layer in others:
            self._cover(frame, layer)
        for patch, opacity in patches:
            self._lay(frame, patch, opacity)
        return frame

    def frame(self, picture: Nv12) -> av.VideoFrame:
        """What was composed, as libx264 takes it."""
        return video_frame(picture)

    def _rooms(self) -> tuple[Room, Room]:
        return Room(self._height, self._width), Room(self._height // 2, self._width // 2, 2)

    def _look(self, layer: Layer, rooms: tuple[Room, Room], box: Box) -> None:
        """Write what the layer shows in this part of the frame."""
        if box.is_empty:
            return
        luma, chroma = rooms
        picture: Nv12 | Fills = layer.canvas.picture
        if not isinstance(picture, Nv12):
            picture.fill(Nv12(luma.plane, chroma.plane))
            return
        scale, left, top = layer.view(self._width, self._height)
        resample(picture.y, View(scale, left + _BORDER, top + _BORDER), luma, box, _WORST[0])
        half = View(scale, left / 2 + _BORDER, top / 2 + _BORDER)
        resample(picture.uv, half, chroma, box.halved(), _WORST[1])

    def _cover(self, frame: Nv12, layer: Layer) -> None:
        """Lay the layer over the frame, as far as it covers it."""
        wholly, partly = zones(layer, self._width, self._height)
        self._look(layer, self._aside, wholly.and_(partly))
        seen = Nv12(*(room.plane for room in self._aside))
        if not wholly.is_empty:
            for under, over in zip(wholly.planes(frame), wholly.planes(seen), strict=True):
                np.copyto(under, over)
        if partly.is_empty:
            return
        shares = weights(layer, partly, self._width, self._height) if layer.across or layer.down else (None, None)
        for under, over, share in zip(partly.planes(frame), partly.planes(seen), shares, strict=True):
            if share is None:
                cv2.addWeighted(under, 1 - layer.weight, over, layer.weight, 0, dst=under)
            else:
                cv2.blendLinear(over, under, share, 1 - share, dst=under)

    def _lay(self, frame: Nv12, patch: Patch, opacity: float) -> None:
        """Blend a patch into the frame, in place."""
        for shift, target, colour, through in zip(
            (0, 1), frame.planes(), patch.colour.planes(), patch.through.planes(), strict=True
        ):
            height, width = colour.shape[:2]
            left, top = patch.left >> shift, patch.top >> shift
            under = target[top : top + height, left : left + width]
            weaker: MatLike = colour
            clearer: MatLike = through
            if opacity < 1:
                weaker = cv2.convertScaleAbs(colour, alpha=opacity)
                clearer = cv2.convertScaleAbs(through, alpha=opacity, beta=255 * (1 - opacity))
            product = self._product[: under.size].reshape(under.shape)
            cv2.multiply(under, clearer, dst=product, scale=1 / 255)
            cv2.add(product, weaker, dst=under)
