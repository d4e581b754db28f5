"""Sheets of paper, cut along smooth lines and stacked; lit from the upper left, each shades the one below."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.providers.media.painting import Canvas, Image, grid, mix, noise, ramp

_SHEETS = 9
_STEPS = 4096
_SHADOW, _SHADOW_WIDTH = 0.62, 0.30
#: The lit edge of a sheet, by the distance between two.
_RIM, _RIM_WIDTH = 0.30, 0.035
#: The paper's own texture.
_FIBER = 0.022


def sheets(canvas: Canvas) -> Image:
    """Cut a smooth field at equal heights; the deepest sheet is the brightest."""
    rng, size = canvas.rng, canvas.small
    x, y = grid(size)
    across, down = size[0] / min(size), size[1] / min(size)
    center = (across * rng.uniform(0.25, 0.75), down * rng.uniform(0.18, 0.42))
    away = np.hypot(x - np.float32(center[0]), y - np.float32(center[1]))
    field = away / np.float32(0.72 * max(across, down)) + np.float32(0.13) * noise(size, 1.5, rng, 2)
    field += np.float32(0.012) * noise(size, 6, rng, 2)
    towards, turn = np.gradient(cv2.GaussianBlur(field.astype(np.float32), (0, 0), 2))
    steep = np.hypot(turn, towards)
    steep += np.float32(0.35) * steep.mean()  # where the field is level, no side is shaded
    # 1 where a sheet's edge looks away from the light, 0 where it faces it.
    shaded = canvas.enlarged((0.5 - 0.5 * (0.55 * turn + 0.83 * towards) / steep).astype(np.float32))[..., None]
    index = np.clip(canvas.enlarged(field.astype(np.float32)) * _STEPS, 0, _STEPS - 1).astype(np.int32)
    colors, shadow, rim = _tables(canvas)
    image = colors[index] * (1 - shadow[index][..., None] * (np.float32(0.25) + np.float32(0.75) * shaded))
    image += (255 - image) * rim[index][..., None] * (1 - shaded)
    fiber = rng.random((canvas.height // 2, canvas.width), np.float32) - np.float32(0.5)
    image *= 1 + np.float32(2 * _FIBER) * canvas.enlarged(fiber)[..., None]
    return np.asarray(image, np.float32)


def _tables(canvas: Canvas) -> tuple[Image, NDArray[np.float32], NDArray[np.float32]]:
    """For each height of the field: the sheet's color, the shadow that the sheet above throws, and its own lit edge."""
    light = canvas.light
    height = np.linspace(0, _SHEETS, _STEPS, endpoint=False, dtype=np.float32)
    sheet = np.floor(height)
    into = height - sheet
    colors = (light.sun, light.sky[-1], light.sky[-2], light.sky[1], light.sky[0], mix(light.sky[0], light.near, 0.3))
    flat = ramp(colors, (sheet / (_SHEETS - 1)).astype(np.float32)) * (1 - np.float32(0.10) * into[:, None])
    shadow = np.float32(_SHADOW) * np.exp(-(1 - into) / np.float32(_SHADOW_WIDTH))
    rim = np.float32(_RIM) * np.exp(-into / np.float32(_RIM_WIDTH)) * (sheet > 0)
    return _smooth(flat), _smooth(shadow[:, None])[:, 0], _smooth(rim[:, None].astype(np.float32))[:, 0]


def _smooth(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Three steps of a table are about a pixel: averaged, the edges are smooth."""
    kernel = np.ones(5, np.float32) / 5
    bands = [np.convolve(np.pad(band, 2, mode="edge"), kernel, "valid") for band in table.T]
    return np.stack(bands, axis=1).astype(np.float32)
