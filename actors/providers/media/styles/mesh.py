"""A mesh gradient: a few large patches of color that flow into each other, in folds like silk."""

from __future__ import annotations

import numpy as np

from actors.providers.media.painting import Canvas, Image, grid, mix, noise

_PATCHES = 8
_PATCH_RADIUS = 0.24
_FOLD_DEPTH = 0.2


def flow(canvas: Canvas) -> Image:
    """Patches of the light's own colors around random points, bent by slow noise."""
    light, rng, size = canvas.light, canvas.rng, canvas.small
    x, y = grid(size)
    x = x + np.float32(0.15) * noise(size, 1.1, rng, 1)
    y = y + np.float32(0.15) * noise(size, 1.1, rng, 1)
    colors = [*light.sky, light.far, light.sky[1], mix(light.sky[0], light.near, 0.0 if light.night else 0.35)]
    order = rng.permutation(len(colors))
    across, down = size[0] / min(size), size[1] / min(size)
    total = np.zeros((*x.shape, 1), np.float32)
    image = np.zeros((*x.shape, 3), np.float32)
    for number in range(_PATCHES):
        # Columns in turn, heights by the golden section: spread evenly, never in a row.
        at_x = across * ((number + 0.5) / _PATCHES + rng.uniform(-0.1, 0.1))
        at_y = down * ((number * 0.382 + 0.2 + rng.uniform(-0.1, 0.1)) % 1.0)
        squared = (x - np.float32(at_x)) ** 2 + (y - np.float32(at_y)) ** 2
        weight = np.exp(-squared / np.float32(2 * _PATCH_RADIUS**2))[..., None] + np.float32(1e-5)
        image += weight * np.asarray(colors[order[number % len(colors)]], np.float32)
        total += weight
    slant = np.float32(rng.choice([-1, 1]) * rng.uniform(0.5, 0.9))
    phase = np.float32(7.5) * (slant * x + y) + np.float32(1.6) * noise(size, 1.3, rng, 1)
    folds = np.sin(phase + np.float32(0.7) * np.sin(phase))  # leans to one side, as cloth does
    image *= (1 + np.float32(_FOLD_DEPTH) * folds[..., None]) / total
    return canvas.enlarged(image)
