"""Where in a picture there is something to see: by what stands out from its surroundings, sharp and colourful.

Looks at a thumbnail, so it costs some milliseconds, and finds a flower on a lawn or a boat on the sea. It knows the
colour of skin, but not faces, words or what the story is about; where everything is alike it says so, and the middle
serves.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.rendering.drawing import stills
from actors.rendering.nv12 import Pixels
from actors.rendering.planning.framing import Interest

#: The longer side of the thumbnail, pixels.
SIDE: Final = 64
#: How far the interest of one place reaches, as a share of the longer side.
_REACH: Final = 0.06
#: People put what matters near the middle: at the edges of a picture interest counts this much.
_AT_THE_EDGE: Final = 0.45
#: The standard deviation of a place along a side where all places are alike.
_ALIKE: Final = 12**-0.5
#: A peak counts only with what is this near to it in interest.
_PEAK: Final = 0.5
#: Skin in red and blue differences, BT.601 full range, how far from that it still counts, and what is too dark for it.
_SKIN: Final = (150.0, 110.0)
_SKIN_REACH: Final = 8.0
_DARK: Final = 70.0
#: Levels that nobody sees.
_FLAT: Final = 2.0

Map = NDArray[np.float32]


def find(path: str) -> Interest:
    """What matters in this picture.

    Raises PermanentError, naming the file, when it is no picture, too large, or cannot be decoded.
    """
    return of(*stills.thumbnail(path, SIDE))


def of(thumbnail: Pixels, shape: float) -> Interest:
    """The same of a thumbnail (height, width, 3); `shape` is the picture's own."""
    interest = _map(thumbnail)
    if interest is None:
        return Interest(shape=shape)
    # Where it is greatest, and what belongs to it there; the scatter is that of all.
    peak = np.where(interest >= _PEAK * interest.max(), interest, 0)
    top, left = np.unravel_index(int(interest.argmax()), interest.shape)
    nearness = _bump(interest.shape, left + 0.5, top + 0.5, 0.2)
    x, y = _middle(peak * nearness)
    spread_x, spread_y = _scatter(interest**2)
    # The more scattered, the less one place says: then what is whole in the middle is better than what shines aside.
    x, y = (place + (middle - place) * spread**3 for place, middle, spread in ((x, 0.5, spread_x), (y, 0.38, spread_y)))
    return Interest(round(x, 3), round(y, 3), round(spread_x, 3), round(spread_y, 3), round(shape, 4))


def _map(rgb: Pixels) -> Map | None:
    """How interesting each place is, 0 to 1; None when nothing can be seen."""
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    light = lab[..., 0]
    if light.std() < _FLAT and lab[..., 1:].std(axis=(0, 1)).max() < _FLAT:
        return None
    reach = _REACH * max(light.shape)
    # Colour and light that differ from the picture's own average (Achanta et al., 2009), what a smooth spectrum would
    # not have (Hou and Zhang, 2007), and detail.
    around = cv2.GaussianBlur(lab, (0, 0), 1.0)
    unlike = np.linalg.norm(around - lab.mean(axis=(0, 1)), axis=2)
    detail = np.abs(light - cv2.GaussianBlur(light, (0, 0), 2.0))
    parts = [cv2.GaussianBlur(part, (0, 0), reach) for part in (unlike, _residual(light), detail, _skin(rgb))]
    total = np.sum([_levelled(part.astype(np.float32)) for part in parts], axis=0)
    height, width = light.shape
    middle = _AT_THE_EDGE + (1 - _AT_THE_EDGE) * _bump((height, width), width / 2, height * 0.47, 0.33)
    return _levelled(np.asarray(total * middle, np.float32))


def _skin(rgb: Pixels) -> Map:
    """How near each place is to the chroma of skin, which is much the same for all people."""
    luma, red, blue = np.moveaxis(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb).astype(np.float32), 2, 0)
    away = ((red - _SKIN[0]) ** 2 + (blue - _SKIN[1]) ** 2) / _SKIN_REACH**2
    return np.asarray(np.exp(-away / 2) * (luma > _DARK), np.float32)


def _residual(light: Map) -> Map:
    """What of the picture is unexpected: its spectrum without the smooth part of its amplitude."""
    spectrum = np.fft.fft2(light)
    amplitude = np.log(np.abs(spectrum) + 1.0).astype(np.float32)
    rest = amplitude - cv2.blur(amplitude, (3, 3), borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.abs(np.fft.ifft2(np.exp(rest + 1j * np.angle(spectrum)))) ** 2, np.float32)


def _levelled(values: Map) -> Map:
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) / (high - low) if high > low else values * 0, np.float32)


def _bump(shape: tuple[int, ...], left: float, top: float, reach: float) -> Map:
    """1 at a place, and less the farther from it; `reach` is a share of each side."""
    height, width = shape[:2]
    across = ((np.arange(width) + 0.5 - left) / (reach * width)) ** 2
    down = ((np.arange(height) + 0.5 - top) / (reach * height)) ** 2
    return np.exp(-(across[None, :] + down[:, None]) / 2).astype(np.float32)


def _middle(weights: Map) -> tuple[float, float]:
    height, width = weights.shape
    total = float(weights.sum()) or 1.0
    x = float((weights.sum(axis=0) * (np.arange(width) + 0.5)).sum()) / total / width
    y = float((weights.sum(axis=1) * (np.arange(height) + 0.5)).sum()) / total / height
    return x, y


def _scatter(weights: Map) -> tuple[float, float]:
    """How far the weights are scattered along each side: 0 in one place, 1 everywhere alike."""
    height, width = weights.shape
    x, y = _middle(weights)
    total = float(weights.sum()) or 1.0
    across = (weights.sum(axis=0) * ((np.arange(width) + 0.5) / width - x) ** 2).sum() / total
    down = (weights.sum(axis=1) * ((np.arange(height) + 0.5) / height - y) ** 2).sum() / total
    return min(1.0, float(across) ** 0.5 / _ALIKE), min(1.0, float(down) ** 0.5 / _ALIKE)
