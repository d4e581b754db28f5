"""How steadily views travel: each frame of a move against the exact place of its view, by phase correlation.

The picture is noise of one sharpness, so that a shift shows everywhere; what is exact is an affine warp of the same
luma, which places every pixel by itself. A shift that all frames share is no jitter; what they scatter by is.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from actors.rendering.composing.compositor import Layer
from actors.rendering.composing.cpu import CpuCompositor
from actors.rendering.nv12 import Pixels, from_rgb
from actors.rendering.planning.framing import LARGEST_ZOOM, Move
from tests.bench.table import Goal, Row, row

#: The most scatter in either direction, pixels of the frame.
GOAL: Final = Goal("<=", 0.010)
MOVES: Final = (
    ("zoom 1.05 to 1.11", Move("in", 1.05, 1.11, 0.45, 0.45, 0.4, 0.4)),
    ("the whole zoom", Move("in", 1.02, LARGEST_ZOOM, 0.4, 0.4, 0.4, 0.4)),
    ("a slow zoom", Move("in", 1.05, 1.06, 0.4, 0.4, 0.4, 0.4)),
    ("a pan", Move("right", LARGEST_ZOOM - 0.02, LARGEST_ZOOM, 0.05, 0.95, 0.4, 0.4)),
    ("a pan upwards", Move("up", LARGEST_ZOOM, LARGEST_ZOOM - 0.02, 0.5, 0.5, 0.95, 0.1)),
)
#: Of a frame, kept out of the comparison: edges that only one of the two shows.
_EDGE: Final = 60


def jitter(size: tuple[int, int] = (1920, 1080), frames: int = 90) -> list[Row]:
    """Rows for each of MOVES: scatter across and down, worst frame; all together some twenty seconds at 1080p."""
    compositor = CpuCompositor(*size)
    rgb = _noise(*compositor.canvas_size())
    canvas, luma = compositor.prepare(rgb), from_rgb(rgb).y
    rows: list[Row] = []
    for name, move in MOVES:
        layers = [Layer(canvas, *move.at(progress), 1.0) for progress in np.linspace(0, 1, frames)]
        off = np.array([_off(compositor.compose([layer], []).y, luma, layer, size) for layer in layers])
        note = f"the worst of {frames} frames is {np.abs(off - off.mean(axis=0)).max():.3f} px off"
        for side, scatter in zip(("across", "down"), off.std(axis=0), strict=True):
            rows.append(row(f"jitter of {name}, {side}", float(scatter), "px", GOAL, note=note))
    return rows


def exact(luma: Pixels, layer: Layer, size: tuple[int, int]) -> Pixels:
    """What the layer's view shows of its picture's luma."""
    scale, left, top = layer.view(*size)
    middle = scale / 2 - 0.5
    matrix = np.array([[scale, 0, left + middle], [0, scale, top + middle]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(luma, matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


def _off(shown: Pixels, luma: Pixels, layer: Layer, size: tuple[int, int]) -> tuple[float, float]:
    pair = [plane[_EDGE:-_EDGE, _EDGE:-_EDGE].astype(np.float32) for plane in (shown, exact(luma, layer, size))]
    window = cv2.createHanningWindow(pair[0].shape[::-1], cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(pair[0], pair[1], window)
    return x, y


def _noise(width: int, height: int) -> Pixels:
    dice = np.random.default_rng(5)
    smooth = cv2.GaussianBlur(dice.integers(0, 256, (height, width), np.uint8), (0, 0), 1.6).astype(np.float32)
    grey = 255 * (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
