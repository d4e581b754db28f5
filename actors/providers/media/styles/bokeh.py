"""Lights far out of focus: a street at night, or sun through leaves, seen with the lens wide open."""

from __future__ import annotations

import cv2
import numpy as np

from actors.providers.media.painting import Canvas, Image, grid, mix, noise, ramp
from actors.providers.media.palettes import Color

#: Lights, from the most blurred to the sharpest: how many, their radius by the shorter side, softness, and strength.
_DEPTHS = ((16, 0.135, 0.30, 0.30), (46, 0.070, 0.10, 0.42), (80, 0.022, 0.05, 0.80))


def lights(canvas: Canvas) -> Image:
    """Discs with brighter rims, thick along a band across the frame, over a ground that glows behind them."""
    light, rng = canvas.light, canvas.rng
    half = (canvas.width // 2, canvas.height // 2)
    across, down = half[0] / min(half), half[1] / min(half)
    x, y = grid(canvas.small)
    lean = rng.uniform(-0.25, 0.25)
    band = down * rng.uniform(0.30, 0.42)
    away = np.abs(y - np.float32(band) - np.float32(lean) * (x - np.float32(across / 2)))
    glow = np.exp(-((away / np.float32(0.42 * down)) ** 2)) + np.float32(0.22) * noise(canvas.small, 1.2, rng, 2)
    dark = mix(light.sky[0], light.near, 0.35 if light.night else 0.6)
    ground = ramp((dark, light.sky[0], light.sky[1], mix(light.sky[1], light.sky[2], 0.7)), glow * np.float32(0.85))
    hues = (light.sun, light.sky[-1], light.sky[-1], light.sky[-2], light.sky[-2], light.sky[1])
    image = np.asarray(cv2.resize(ground, half, interpolation=cv2.INTER_LINEAR), np.float32)
    for count, radius, softness, strength in _DEPTHS:
        layer = np.zeros((half[1], half[0], 3), np.float32)
        for _ in range(count):
            at_x = rng.uniform(-0.05, 1.05) * across
            at_y = band + lean * (at_x - across / 2) + rng.normal(0, 0.19) * down
            size = radius * rng.uniform(0.55, 1.25) * min(half)
            level = strength * rng.uniform(0.25, 1.0) ** 1.5
            hue = _vivid(hues[rng.integers(len(hues))]) * np.float32(level)
            _disc(layer, (at_x * min(half), at_y * min(half)), size, hue)
        image += cv2.GaussianBlur(layer, (0, 0), max(0.6, softness * radius * min(half)))
    # Light adds up, and film saturates softly.
    image = 255 * (1 - np.exp(-image / np.float32(175)))
    return np.asarray(cv2.resize(image, (canvas.width, canvas.height), interpolation=cv2.INTER_LINEAR), np.float32)


def _vivid(color: Color) -> Image:
    """The color with more of itself: what is added up turns pale."""
    hue = np.asarray(color, np.float32)
    stronger: Image = np.clip(hue.mean() + (hue - hue.mean()) * np.float32(1.9), 0, 255)
    return stronger


def _disc(layer: Image, center: tuple[float, float], radius: float, hue: Image) -> None:
    """Add a disc, a little brighter at its rim, in place."""
    left, top = (max(0, int(place - radius - 2)) for place in center)
    right, bottom = (min(side, int(place + radius + 3)) for side, place in zip(layer.shape[1::-1], center, strict=True))
    if right <= left or bottom <= top:
        return
    x = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(center[0])
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(center[1])
    away = np.hypot(x, y) / np.float32(radius)
    edge = np.clip((1 - away) * np.float32(radius), 0, 1)
    layer[top:bottom, left:right] += (edge * (np.float32(0.62) + np.float32(0.38) * away**6))[..., None] * hue
