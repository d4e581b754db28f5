"""What the styles of generated pictures share: smooth noise, color ramps, a soft glow, land in layers, the finish.

Pictures are float32 arrays of height x width x 3, red first, 0 to 255. Smooth things are computed small and enlarged,
which no eye can tell apart; edges are drawn at full size.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from actors.providers.media.palettes import Color, Light

Image = NDArray[np.float32]
#: Smooth fields are computed this many times smaller.
_COARSE = 6
#: Where captions stand: the lower part of a picture is calmed and darkened from here on.
_CAPTION_TOP = 0.58
_CAPTION_DARKER = 0.42
#: Breaks up the bands of a smooth gradient in 8 bits; more would cost the encoder bits.
_DITHER = 0.8


class Canvas(msgspec.Struct, frozen=True):
    """What a style gets: the size in pixels, the light, and the chance of this picture."""

    width: int
    height: int
    light: Light
    rng: np.random.Generator

    @property
    def small(self) -> tuple[int, int]:
        """Width and height of a coarse field."""
        return max(self.width // _COARSE, 8), max(self.height // _COARSE, 8)

    def enlarged(self, coarse: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring a coarse field or picture to full size; linear, as OpenCV's cubic puts ripples on an even slope."""
        return np.asarray(cv2.resize(coarse, (self.width, self.height), interpolation=cv2.INTER_LINEAR), np.float32)


def grid(size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x and y of each pixel in units of the shorter side, the origin at the upper left."""
    width, height = size
    short = min(size)
    x = np.arange(width, dtype=np.float32) / short
    y = np.arange(height, dtype=np.float32) / short
    return np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))


def noise(size: tuple[int, int], cells: float, rng: np.random.Generator, octaves: int = 3) -> NDArray[np.float32]:
    """Make a smooth random field with mean 0, about -1 to 1; `cells` are the bumps along the shorter side."""
    width, height = size
    short = min(size)
    field = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        across, down = (int(np.ceil(cells * 2**octave * side / short)) + 3 for side in (width, height))
        bumps = rng.uniform(-1, 1, (down, across)).astype(np.float32)
        field += cv2.resize(bumps, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(0.5**octave)
    return field


def ramp(colors: Sequence[Color], at: NDArray[np.float32]) -> Image:
    """Look up colors along a ramp: 0 is the first, 1 the last, smooth in between."""
    stops = np.asarray(colors, np.float32)
    place = np.clip(at, 0, 1) * (len(stops) - 1)
    lower = np.minimum(place.astype(np.int32), len(stops) - 2)
    share = place - lower
    share = (share * share * (3 - 2 * share))[..., None]
    mixed: Image = stops[lower] * (1 - share) + stops[lower + 1] * share
    return mixed


def mix(first: Color, second: Color, share: float) -> Color:
    """Mix two colors; 0 is the first, 1 the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def skyline(
    width: int, rng: np.random.Generator, *, cells: float, roughness: float, octaves: int
) -> NDArray[np.float32]:
    """Make a random line of `width` heights, about -1 to 1; higher roughness is more jagged."""
    line = np.zeros(width, np.float32)
    total = 0.0
    for octave in range(octaves):
        knots = int(np.ceil(cells * 2**octave)) + 3
        heights = rng.uniform(-1, 1, (1, knots)).astype(np.float32)
        smooth = cv2.resize(heights, (width, 1), interpolation=cv2.INTER_CUBIC if octave < 3 else cv2.INTER_LINEAR)  # noqa: PLR2004 -- fine detail may have corners, as rock has
        line += smooth[0] * np.float32(roughness**octave)
        total += roughness**octave
    return line / np.float32(total)


def lay(image: Image, top: NDArray[np.float32], colors: Sequence[Color], depth: float) -> None:
    """Lay a shape over the lower part of `image`, in place: below the line `top` (one height a column, in pixels).

    Its color runs from the first of `colors` at the line to the last one `depth` pixels lower.
    """
    height = image.shape[0]
    first, last = max(int(top.min()) - 1, 0), min(int(top.max()) + 2, height)
    if first >= height:
        return
    rows = np.arange(first, height, dtype=np.float32)
    filled = ramp(colors, (rows - np.float32(top.mean())) / np.float32(max(depth, 1.0)))[:, None, :]
    edge = max(last - first, 0)
    cover = np.clip(rows[:edge, None] - top[None, :] + np.float32(0.5), 0, 1)[..., None]
    image[first:last] += (filled[:edge] - image[first:last]) * cover
    image[max(last, first) :] = filled[edge:]


def glow(size: tuple[int, int], center: tuple[float, float], radius: float) -> NDArray[np.float32]:
    """Make a soft round light, 1 in the middle; center and radius in units of the shorter side."""
    x, y = grid(size)
    squared = (x - np.float32(center[0])) ** 2 + (y - np.float32(center[1])) ** 2
    light: NDArray[np.float32] = np.exp(-squared / np.float32(radius * radius))
    return light


def add_stars(image: Image, canvas: Canvas, count: int, lowest: float) -> None:
    """Sprinkle stars over `image`, in place, down to the share `lowest` of its height."""
    unit = min(canvas.width, canvas.height) / 1080
    sky = np.zeros(image.shape[:2], np.float32)
    for _ in range(count):
        x = canvas.rng.uniform(0, canvas.width)
        y = canvas.rng.uniform(0, lowest) ** 1.3 * canvas.height
        level = canvas.rng.uniform(0.15, 1) ** 2
        place = (round(x * 8), round(y * 8))
        cv2.circle(sky, place, round(unit * canvas.rng.uniform(0.7, 1.7) * 8), float(level), -1, cv2.LINE_AA, 3)
    fade = np.clip(1.15 - np.arange(canvas.height, dtype=np.float32) / (lowest * canvas.height), 0, 1)
    soft = cv2.GaussianBlur(sky, (0, 0), 0.8 * unit) * fade[:, None] * np.float32(150)
    image += soft[..., None]


def finished(image: Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Calm the place of the captions, darken the corners a little, and round to 8 bits without bands."""
    height, width = image.shape[:2]
    y = np.linspace(0, 1, height, dtype=np.float32)
    x = np.linspace(-1, 1, width, dtype=np.float32)
    low = np.clip((y - _CAPTION_TOP) / (1 - _CAPTION_TOP), 0, 1)
    low = low * low * (3 - 2 * low)
    row = (1 - _CAPTION_DARKER * low) * (1 - 0.16 * (2 * y - 1) ** 4)
    column = 1 - 0.14 * x**4
    image *= row[:, None, None]
    image *= column[None, :, None]
    image += rng.random((height, width), np.float32)[..., None] * np.float32(2 * _DITHER) + np.float32(0.5 - _DITHER)
    rounded: NDArray[np.uint8] = np.clip(image, 0, 255).astype(np.uint8)
    return rounded
