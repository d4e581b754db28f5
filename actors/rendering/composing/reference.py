"""What a frame should be, in plain floating point: what the card's kernel, and the card itself, are compared with.

The same view, covers, patches and colours as in kernel.cu, written once more and differently, with nothing rounded
before the end. Some hundred times slower than either compositor: for tests and for `doctor --gpu`, never for a film.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.rendering.composing.compositor import Layer
from actors.rendering.nv12 import Nv12, Patch, Pixels

Floats = NDArray[np.float64]


class Exact(NamedTuple):
    """A frame before rounding: `y` (height, width), `uv` (height / 2, width / 2, 2), levels of 0 to 255."""

    y: Floats
    uv: Floats


def compose(
    layers: Sequence[tuple[Layer, Pixels | Nv12]], patches: Sequence[tuple[Patch, float]], width: int, height: int
) -> Exact:
    """The frame of these layers, each with its picture, and patches with their opacity.

    A still is the RGB pixels of its canvas; a moving picture NV12 in the frame's size, shown as it is.
    """
    rgb = np.zeros((height, width, 3))
    for place, (layer, pixels) in enumerate(layers):
        weight = _cover(layer, width, height) if place else 1.0
        if isinstance(pixels, Nv12):
            seen = _filmed(pixels)
        else:
            seen = _seen(pixels, *layer.view(width, height), (width, height))
        rgb = (1 - weight) * rgb + weight * seen
    grey = rgb @ (0.2126, 0.7152, 0.0722)
    quarter = rgb.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
    grey_quarter = quarter @ (0.2126, 0.7152, 0.0722)
    blue = 128 + 224 / 255 * (quarter[..., 2] - grey_quarter) / 1.8556
    red = 128 + 224 / 255 * (quarter[..., 0] - grey_quarter) / 1.5748
    exact = Exact(16 + 219 / 255 * grey, np.dstack([blue, red]))
    for patch, opacity in patches:
        for shift, plane, colour, through in zip(
            (0, 1), exact, patch.colour.planes(), patch.through.planes(), strict=True
        ):
            rows, columns = colour.shape[:2]
            under = plane[patch.top >> shift :, patch.left >> shift :][:rows, :columns]
            under *= 1 - opacity + opacity * (through / 255.0)
            under += opacity * colour.astype(np.float64)
    return exact


def _filmed(picture: Nv12) -> Floats:
    """A frame of a moving picture in RGB, where it may be more or less than can be shown."""
    blue, red = np.moveaxis((np.repeat(np.repeat(picture.uv, 2, axis=0), 2, axis=1) - 128.0) * 255 / 224, 2, 0)
    grey = (picture.y - 16.0) * 255 / 219
    green = grey - (0.2126 * 1.5748 * red + 0.0722 * 1.8556 * blue) / 0.7152
    return np.stack([grey + 1.5748 * red, green, grey + 1.8556 * blue], axis=-1)


def _cover(layer: Layer, width: int, height: int) -> Floats:
    """How much the layer covers at each pixel, (height, width, 1)."""
    down, across = np.mgrid[0.5:height, 0.5:width] / np.array([height, width])[:, None, None]
    cover = layer.weight + layer.across * across + layer.down * down
    return np.asarray(np.clip(cover, 0.0, 1.0))[..., None]


def _seen(pixels: Pixels, scale: float, left: float, top: float, size: tuple[int, int]) -> Floats:
    """A view of a picture, by bilinear interpolation; beyond its edges their pixels go on."""
    (columns, x), (rows, y) = (
        _between(edge, scale, count, length)
        for edge, count, length in ((left, size[0], pixels.shape[1]), (top, size[1], pixels.shape[0]))
    )
    upper, lower = pixels[rows].astype(np.float64), pixels[rows + 1].astype(np.float64)
    down = upper + (lower - upper) * y[:, None, None]
    return down[:, columns] + (down[:, columns + 1] - down[:, columns]) * x[None, :, None]


def _between(edge: float, scale: float, count: int, length: int) -> tuple[NDArray[np.int64], Floats]:
    """For each output pixel along one side: the source pixel before it, and how far beyond that it lies."""
    places = np.clip(edge + (np.arange(count) + 0.5) * scale - 0.5, 0, length - 1)
    whole = np.minimum(places.astype(np.int64), length - 2)
    return whole, places - whole
