"""Silk: a cloth in the light's own colors, laid in long folds, lit from one side so that they have depth."""

from __future__ import annotations

import numpy as np

from actors.providers.media.painting import Canvas, Image, grid, mix, noise, ramp

#: Folds have edges: they are computed finer than the rest.
_FINER = 2
_SHEEN = 26


def flow(canvas: Canvas) -> Image:
    """Folds that run across the frame, bend, and gather; their crests shine."""
    light, rng = canvas.light, canvas.rng
    size = (canvas.small[0] * _FINER, canvas.small[1] * _FINER)
    x, y = grid(size)
    bend = np.float32(0.34) * noise(size, 0.7, rng, 2)
    angle = rng.uniform(0.25, 0.6) * rng.choice([-1, 1]) + (np.pi / 2 if size[1] > size[0] else 0)
    along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y + np.float32(0.35) * bend
    across = np.float32(np.cos(angle)) * y - np.float32(np.sin(angle)) * x + bend
    gathered = np.float32(1.5) + np.float32(0.5) * np.sin(np.float32(1.7) * along + np.float32(rng.uniform(0, 6)))
    phase = np.float32(4.4) * across * gathered + np.float32(0.5) * noise(size, 1.3, rng, 2)
    # Cloth leans to one side and piles up: crests are narrow, hollows wide.
    height = np.exp(np.sin(phase + np.float32(0.6) * np.sin(phase))) / np.float32(np.e)
    height += np.float32(0.10) * np.sin(np.float32(2.7) * phase + np.float32(3) * bend)
    down, right = np.gradient(height * np.float32(min(size) * 0.085))
    length = 1 / np.sqrt(right * right + down * down + 1)
    lit = np.clip((-0.55 * right - 0.65 * down + 0.53) * length, 0, 1)
    sheen = np.clip((-0.30 * right - 0.36 * down + 0.88) * length, 0, 1) ** _SHEEN
    depth = mix(light.sky[0], light.near, 0.2 if light.night else 0.45)
    colors = (depth, light.sky[0], light.sky[1], light.sky[2], light.sky[-1])
    tone = (
        np.float32(0.62 if light.night else 0.46)
        + np.float32(0.34) * noise(size, 0.8, rng, 1)
        + np.float32(0.42) * (height - np.float32(0.4))
    )
    image = ramp(colors, tone) * (np.float32(0.45) + np.float32(0.80) * lit)[..., None]
    image += (np.asarray(light.sun, np.float32) - image) * (np.float32(0.55) * sheen * lit)[..., None]
    return canvas.enlarged(image.astype(np.float32))
