"""Northern lights over dark land."""

from __future__ import annotations

import numpy as np

from actors.providers.media.painting import Canvas, Image, add_stars, grid, lay, mix, ramp, skyline

_CURTAINS = 3


def curtains(canvas: Canvas) -> Image:
    """Hang curtains of light in a starry sky; the hues are those of the theme."""
    light, rng, size = canvas.light, canvas.rng, canvas.small
    _, y = grid(size)
    down = size[1] / min(size)
    dark = (light.sky[0], mix(light.sky[0], light.sky[1], 0.5), light.sky[1])
    image = ramp(dark, y / np.float32(down * 0.8))
    hues = (light.sky[-1], mix(light.sky[-1], light.sky[-2], 0.6), light.sky[-2])
    across = size[0] / min(size)
    for number in range(_CURTAINS):
        foot = down * (0.36 + 0.1 * number) + 0.2 * skyline(size[0], rng, cells=1.3 * across, roughness=0.4, octaves=3)
        rays = 0.72 + 0.5 * skyline(size[0], rng, cells=16 * across, roughness=0.7, octaves=3)
        veil = np.clip(0.65 + 0.9 * skyline(size[0], rng, cells=1.2 * across, roughness=0.4, octaves=2), 0, 1)
        above = (foot[None, :] - y) / np.float32(down)
        fall = 0.13 + 0.05 * number + 0.05 * skyline(size[0], rng, cells=5 * across, roughness=0.5, octaves=2)
        shape = np.where(above > 0, np.exp(-above / fall), np.exp(above / np.float32(0.03)))
        level = np.clip(shape * (rays * veil)[None, :] * np.float32(1.0 - 0.1 * number), 0, 1).astype(np.float32)
        image += (np.asarray(hues[number], np.float32) + 20 - image * np.float32(0.35)) * level[..., None]
    full = canvas.enlarged(image)
    add_stars(full, canvas, 320, 0.7)
    unit = min(canvas.width, canvas.height)
    for base, share, tall in ((0.74, 0.45, 0.1), (0.84, 0.85, 0.07)):
        rise = skyline(canvas.width, rng, cells=2.5 * canvas.width / unit, roughness=0.5, octaves=7)
        shade = mix(light.sky[0], mix(light.near, (0, 0, 0), 0.3), share)
        top = (base * canvas.height - rise * np.float32(unit * tall)).astype(np.float32)
        lay(full, top, (shade, mix(shade, light.sky[1], 0.12)), 0.2 * canvas.height)
    return full
