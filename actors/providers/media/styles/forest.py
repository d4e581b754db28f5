"""A forest in the mist: conifers on slopes, row behind row, the far ones lost in the light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.providers.media.painting import Canvas, Image, add_stars, glow, grid, lay, mix, noise, ramp, skyline

_ROWS = 6


def pines(canvas: Canvas) -> Image:
    """Rows of trees from far and small to near and tall, mist between them."""
    light, rng, size = canvas.light, canvas.rng, canvas.small
    _, y = grid(size)
    across, down = size[0] / min(size), size[1] / min(size)
    horizon = rng.uniform(0.46, 0.54)
    image = ramp(light.sky, y / np.float32(down * horizon) + np.float32(0.06) * noise(size, 3, rng, 3))
    sun = np.asarray(light.sun, np.float32)
    place = (across * rng.uniform(0.25, 0.75), down * horizon * rng.uniform(0.45, 0.9))
    for radius, level in ((0.9, 0.45), (0.35, 0.40), (0.10, 0.35)):
        strength = level * (0.45 if light.night else 1)
        image += (sun - image) * (glow(size, place, radius) * np.float32(strength))[..., None]
    full = canvas.enlarged(image)
    if light.night:
        add_stars(full, canvas, 240, horizon)
    unit = min(canvas.width, canvas.height)
    mist = mix(light.sky[-1], light.sun, 0.25)
    for row in range(_ROWS):
        near = row / (_ROWS - 1)
        base = (horizon - 0.02 + 0.50 * near**1.25) * canvas.height
        slope = skyline(canvas.width, rng, cells=1.4 * across, roughness=0.45, octaves=4) * np.float32(unit * 0.085)
        tall = unit * (0.035 + 0.20 * near**1.5)
        top = (base - slope - _trees(canvas.width, tall, rng)).astype(np.float32)
        shade = mix(light.far, light.near, near**0.8)
        haze = mix(shade, mist, 0.62 * (1 - near) + 0.10)
        lay(full, top, (shade, mix(shade, haze, 0.55), haze), tall * 0.9 + 0.16 * canvas.height)
    return full


def _trees(width: int, tall: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """How far trees of about this height rise above their ground, at each column."""
    rise = np.zeros(width, np.float32)
    count = max(3, round(width / (tall * 0.20)))
    for center in (np.arange(count) + rng.uniform(-0.7, 0.7, count)) * width / count:
        height = tall * rng.uniform(0.45, 1.0)
        half = height * rng.uniform(0.13, 0.19)
        left, right = max(0, int(center - half)), min(width, int(center + half) + 1)
        if right <= left:
            continue
        away = np.abs(np.arange(left, right, dtype=np.float32) - np.float32(center)) / np.float32(half)
        # Branches: the outline goes down in steps, each hanging a little.
        steps = np.float32(8)
        ragged = np.float32(0.3) * away + np.float32(0.7) * np.floor(away * steps + np.float32(0.5)) / steps
        rise[left:right] = np.maximum(rise[left:right], np.float32(height) * (1 - np.clip(ragged, 0, 1)))
    return rise
