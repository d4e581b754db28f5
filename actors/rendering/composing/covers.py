"""How a layer covers a frame: where wholly, where partly, and by how much at each pixel.

A wipe covers most of a frame wholly or not at all; only along its edge must pixels be mixed.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.rendering.composing.compositor import Layer
from actors.rendering.composing.resampling import Box

Weights = NDArray[np.float32]


class Zones(NamedTuple):
    """Parts of a frame, each with even sides; what is in neither is not covered."""

    wholly: Box
    partly: Box

    def bared(self, whole: Box) -> Box:
        """The part of the frame in which what is below can be seen."""
        full = self.wholly
        if full.is_empty:
            return whole
        return Box(
            full.right if full.left == 0 and full.right < whole.right else 0,
            full.bottom if full.top == 0 and full.bottom < whole.bottom else 0,
            full.left if full.left > 0 else whole.right,
            full.top if full.top > 0 else whole.bottom,
        )


def zones(layer: Layer, width: int, height: int) -> Zones:
    """Where the layer covers a frame of this size; an edge that is not upright or level is taken for all of it."""
    everything, nothing = Box(0, 0, width, height), Box(0, 0, 0, 0)
    if layer.across and layer.down:
        return Zones(nothing, everything)
    lies_across = bool(layer.across)
    weights = _along(layer.weight, layer.across if lies_across else layer.down, width if lies_across else height)
    ends = len(weights)
    first = int(np.argmax(weights != weights[0])) // 2 * 2
    last = -(-(ends - int(np.argmax(weights[::-1] != weights[-1]))) // 2) * 2
    if weights[0] == weights[-1]:  # flat, or beyond the frame
        first, last = (0, ends) if 0 < weights[0] < 1 else (0, 0)
        full = (0, ends) if weights[0] >= 1 else (0, 0)
    else:
        full = (0, first) if weights[0] >= 1 else (last, ends) if weights[-1] >= 1 else (0, 0)
    wholly, partly = (
        Box(begin, 0, end, height) if lies_across else Box(0, begin, width, end) for begin, end in (full, (first, last))
    )
    return Zones(wholly, partly)


def weights(layer: Layer, box: Box, width: int, height: int) -> tuple[Weights, Weights]:
    """How much the layer covers, at each pixel of luma in this part of the frame, and of chroma."""
    across = (np.arange(box.left, box.right) + 0.5) * (layer.across / width)
    down = (np.arange(box.top, box.bottom) + 0.5) * (layer.down / height)
    luma = np.clip(layer.weight + across[None, :] + down[:, None], 0, 1).astype(np.float32)
    half = (luma.shape[1] // 2, luma.shape[0] // 2)
    return luma, cv2.resize(luma, half, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def _along(weight: float, slope: float, count: int) -> NDArray[np.float64]:
    return np.asarray(np.clip(weight + slope * (np.arange(count) + 0.5) / count, 0.0, 1.0))
