"""Land under a sky: mountains, hills or a sea, in layers that fade with distance."""

from __future__ import annotations

import numpy as np

from actors.providers.media.painting import Canvas, Image, add_stars, glow, grid, lay, mix, noise, ramp, skyline


def mountains(canvas: Canvas) -> Image:
    """Jagged ridges, one behind the other, in haze."""
    image, sun = _sky(canvas, horizon=0.62)
    _disc(image, canvas, sun)
    _ridges(image, canvas, first=0.47, last=0.9, layers=6, tall=0.17, cells=2.4, roughness=0.5, octaves=8)
    return image


def hills(canvas: Canvas) -> Image:
    """Long soft hills."""
    image, sun = _sky(canvas, horizon=0.6)
    _disc(image, canvas, sun)
    _ridges(image, canvas, first=0.52, last=0.93, layers=6, tall=0.1, cells=1.2, roughness=0.3, octaves=4)
    return image


def sea(canvas: Canvas) -> Image:
    """Calm water that mirrors the sky, and islands far out."""
    horizon = canvas.rng.uniform(0.5, 0.56)
    image, sun = _sky(canvas, horizon=horizon)
    line = round(horizon * canvas.height)
    unit = min(canvas.width, canvas.height)
    for layer in range(2):
        rise = skyline(canvas.width, canvas.rng, cells=2.2, roughness=0.45, octaves=7)
        shade = mix(canvas.light.far, canvas.light.near, 0.12 + 0.3 * layer)
        top = line - np.maximum(rise * np.float32((0.13 - 0.03 * layer) * unit) - np.float32(0.012 * unit * layer), -4)
        lay(image, top.astype(np.float32), (shade, mix(shade, canvas.light.sky[-1], 0.35)), 0.08 * canvas.height)
    below = canvas.height - line
    mirrored = image[line - min(below, line) : line][::-1]
    depth = np.linspace(0, 1, below, dtype=np.float32)[:, None, None]
    water = np.repeat(mirrored[-1:], below, axis=0)
    water[: len(mirrored)] = mirrored
    dark = np.asarray(mix(canvas.light.near, canvas.light.far, 0.18), np.float32)
    water = water * (0.86 - 0.62 * depth) + dark * (0.14 + 0.6 * depth)
    # Ripples are long and flat, and wider apart towards the viewer.
    width, height = canvas.small
    wide = noise((width // 4 + 4, height), 26, canvas.rng, 2)
    stretched = np.linspace(0.0, 1.0, below, dtype=np.float32) ** 0.5 * (height - 1)
    ripples = canvas.enlarged(wide)[
        np.clip((stretched * canvas.height / height).astype(np.int32), 0, canvas.height - 1)
    ]
    glitter = np.exp(-(((np.arange(canvas.width) / unit - sun[0]) / (0.05 + 0.1 * depth[..., 0])) ** 2)).astype(
        np.float32
    )
    sparkle = (
        glitter * np.clip(ripples * np.float32(1.6) - np.float32(0.1), 0, 1) * (1 - np.float32(0.8) * depth[..., 0])
    )
    water += (np.asarray(canvas.light.sun, np.float32) - water) * np.clip(sparkle, 0, 0.85)[..., None]
    _disc(image, canvas, sun)
    image[line:] = water * (1 + np.float32(0.07) * ripples[..., None] * (0.35 + depth))
    return image


def _sky(canvas: Canvas, horizon: float) -> tuple[Image, tuple[float, float]]:
    """Paint a sky that brightens to the horizon, with thin clouds and stars; also say where the sun or moon stands."""
    light, rng, size = canvas.light, canvas.rng, canvas.small
    _, y = grid(size)
    reach = size[1] / min(size) * horizon
    clouds = noise((max(size[0] // 3, 8), size[1]), 5, rng, 4)
    clouds = _stretched(clouds, size)
    image = ramp(light.sky, y / np.float32(reach) + np.float32(0.045) * clouds)
    across = size[0] / min(size)
    center = (
        rng.uniform(0.22, 0.78) * across,
        reach * (rng.uniform(0.25, 0.45) if light.night else rng.uniform(0.5, 0.8)),
    )
    sun = np.asarray(light.sun, np.float32)
    strength = 0.3 if light.night else 0.75
    for radius, level in ((0.75, 0.35), (0.3, 0.4), (0.12, 0.35)):
        image += (sun - image) * (glow(size, center, radius) * np.float32(level * strength))[..., None]
    wisps = np.clip(clouds - 0.25, 0, 1) * np.clip(1.2 - y / reach, 0, 1)
    image += (sun - image) * (wisps * np.float32(0.1 if light.night else 0.32))[..., None]
    full = canvas.enlarged(image)
    if light.night:
        add_stars(full, canvas, 260, horizon)
    return full, center


def _stretched(field: np.ndarray[tuple[int, ...], np.dtype[np.float32]], size: tuple[int, int]) -> Image:
    rows = np.linspace(0, field.shape[1] - 1, size[0])
    left = np.clip(rows.astype(np.int32), 0, field.shape[1] - 2)
    share = (rows - left).astype(np.float32)
    wide: Image = field[:, left] * (1 - share) + field[:, left + 1] * share
    return wide


def _disc(image: Image, canvas: Canvas, center: tuple[float, float]) -> None:
    """Draw sun or moon itself, in place."""
    unit = min(canvas.width, canvas.height)
    x, y, radius = center[0] * unit, center[1] * unit, (0.034 if canvas.light.night else 0.05) * unit
    left, right = max(int(x - radius) - 2, 0), min(int(x + radius) + 3, canvas.width)
    top, bottom = max(int(y - radius) - 2, 0), min(int(y + radius) + 3, canvas.height)
    across = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(x)
    down = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
    cover = np.clip(np.float32(radius) - np.hypot(across, down) + np.float32(0.5), 0, 1)[..., None]
    part = image[top:bottom, left:right]
    part += (np.asarray(canvas.light.sun, np.float32) - part) * cover * np.float32(0.92)


def _ridges(
    image: Image,
    canvas: Canvas,
    *,
    first: float,
    last: float,
    layers: int,
    tall: float,
    cells: float,
    roughness: float,
    octaves: int,
) -> None:
    """Lay ridges from the far one (at the height share `first`) to the near one (`last`), in place."""
    unit = min(canvas.width, canvas.height)
    spread = cells * canvas.width / unit
    for layer in range(layers):
        near = layer / (layers - 1)
        rise = skyline(
            canvas.width, canvas.rng, cells=spread * (1.25 - 0.6 * near), roughness=roughness, octaves=octaves
        )
        base = first + (last - first) * near**1.15
        top = (base * canvas.height - rise * np.float32(unit * tall * (1 - 0.35 * near))).astype(np.float32)
        shade = mix(canvas.light.far, canvas.light.near, near**0.9)
        haze = mix(shade, canvas.light.sky[-1], 0.42 * (1 - near))
        lay(image, top, (shade, mix(shade, haze, 0.5), haze), 0.22 * canvas.height)
