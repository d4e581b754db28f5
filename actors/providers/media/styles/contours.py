"""Sheets of paper, cut along smooth lines and stacked, each throwing a soft shadow on the one below."""

from __future__ import annotations

import numpy as np

from actors.providers.media.painting import Canvas, Image, grid, mix, noise, ramp

_SHEETS = 9
_STEPS = 4096
_SHADOW = 0.3
_SHADOW_WIDTH = 0.2


def sheets(canvas: Canvas) -> Image:
    """Cut a smooth field at equal heights; the deepest sheet is the brightest."""
    rng, size = canvas.rng, canvas.small
    x, y = grid(size)
    across, down = size[0] / min(size), size[1] / min(size)
    center = (across * rng.uniform(0.25, 0.75), down * rng.uniform(0.18, 0.42))
    away = np.hypot(x - np.float32(center[0]), y - np.float32(center[1]))
    field = away / np.float32(0.72 * max(across, down)) + np.float32(0.13) * noise(size, 1.5, rng, 2)
    index = np.clip(canvas.enlarged(field.astype(np.float32)) * _STEPS, 0, _STEPS - 1).astype(np.int32)
    image: Image = _table(canvas)[index]
    return image


def _table(canvas: Canvas) -> Image:
    """Give the color for each height of the field: steps, each with its shadow on the deeper side of the edge."""
    light = canvas.light
    height = np.linspace(0, _SHEETS, _STEPS, dtype=np.float32)
    sheet = np.floor(height)
    into = height - sheet
    colors = (light.sun, light.sky[-1], light.sky[-2], light.sky[1], light.sky[0], mix(light.sky[0], light.near, 0.7))
    flat = ramp(colors, (sheet / (_SHEETS - 1)).astype(np.float32))
    shade = 1 - np.float32(_SHADOW) * np.exp(-(1 - into) / np.float32(_SHADOW_WIDTH)) + np.float32(0.05) * (1 - into)
    table = flat * shade[:, None]
    # Three steps of the table are about a pixel: averaged, the edges are smooth.
    kernel = np.ones(5, np.float32) / 5
    smooth = np.stack(
        [np.convolve(np.pad(table[:, band], 2, mode="edge"), kernel, "valid") for band in range(3)], axis=1
    )
    return smooth.astype(np.float32)
