"""Patches made without an image of their own: grounds that darken smoothly, several patches in one, one in motion.

Guarantees that a ground shows no bands: its alpha is dithered, once, so that it stands still. Everything stays inside
the frame and on even places, as patches must.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from actors.rendering.nv12 import Nv12, Patch, Pixels, patch
from actors.rendering.styles import Colour

#: Alpha, 0 to 1, one value a pixel.
Alpha = NDArray[np.float32]
#: From where a patch is uncovered: its left edge, its upper edge, or its middle to both sides.
Growth = Literal["", "left", "top", "middle"]

_OPAQUE: Final = 255


def ground(alpha: Alpha, colour: Colour, left: int = 0, top: int = 0) -> Patch:
    """A patch of one colour with this alpha; its sides and place are rounded down to even ones."""
    rows, columns = (length // 2 * 2 for length in alpha.shape)
    alpha = alpha[:rows, :columns]
    levels = np.random.default_rng(0).random(alpha.shape, np.float32)
    levels *= alpha > 0
    levels += alpha * np.float32(_OPAQUE)
    covered = np.minimum(levels, _OPAQUE, out=levels).astype(np.uint8)
    halved = cv2.resize(alpha, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    half = np.rint(np.clip(halved, 0, 1) * _OPAQUE).astype(np.uint8)
    plain = patch(np.full((2, 2, 4), (*colour, _OPAQUE), np.uint8), 0, 0).colour
    luma = _times(covered, float(plain.y[0, 0]))
    chroma = np.dstack([_times(half, float(level)) for level in plain.uv[0, 0]])
    return Patch(
        left // 2 * 2, top // 2 * 2, Nv12(luma, chroma), Nv12(_OPAQUE - covered, _OPAQUE - np.dstack([half, half]))
    )


def image_patch(image: Image.Image, left: int, top: int, size: tuple[int, int]) -> Patch:
    """A patch of an RGBA image with its corner at an even place; what lies outside a frame of this size is cut off."""
    left, top = left // 2 * 2, top // 2 * 2
    box = (max(0, -left), max(0, -top), min(image.width, size[0] - left), min(image.height, size[1] - top))
    even = (*box[:2], box[0] + (box[2] - box[0]) // 2 * 2, box[1] + (box[3] - box[1]) // 2 * 2)
    return patch(np.asarray(image.crop(even)), left + box[0], top + box[1])


def merged(patches: Sequence[Patch]) -> Patch:
    """One patch that covers a frame as all of these would, one after the other."""
    left, top = min(part.left for part in patches), min(part.top for part in patches)
    height = max(part.top + part.colour.y.shape[0] for part in patches) - top
    width = max(part.left + part.colour.y.shape[1] for part in patches) - left
    colour = Nv12(np.zeros((height, width), np.uint8), np.zeros((height // 2, width // 2, 2), np.uint8))
    through = Nv12(*(np.full_like(plane, _OPAQUE) for plane in colour.planes()))
    for part in patches:
        for shift, *planes in zip(
            (0, 1), colour.planes(), through.planes(), part.colour.planes(), part.through.planes(), strict=True
        ):
            own_colour, own_through = planes[2:]
            rows, columns = own_colour.shape[:2]
            at = np.s_[(part.top - top) >> shift :, (part.left - left) >> shift :]
            under, clear = (plane[at][:rows, :columns] for plane in planes[:2])
            under[:] = cv2.add(cv2.multiply(under, own_through, scale=1 / _OPAQUE), own_colour)
            clear[:] = cv2.multiply(clear, own_through, scale=1 / _OPAQUE)
    return Patch(left, top, colour, through)


def moved(part: Patch, right: float, down: float, size: tuple[int, int]) -> Patch:
    """The patch elsewhere, as far as a frame of this size lets it go."""
    height, width = part.colour.y.shape
    left = min(max(part.left + round(right / 2) * 2, 0), size[0] - width)
    top = min(max(part.top + round(down / 2) * 2, 0), size[1] - height)
    return part._replace(left=left, top=top)


def uncovered(part: Patch, growth: Growth, share: float) -> Patch:
    """As much of the patch as has grown so far."""
    height, width = part.colour.y.shape
    if not growth or share >= 1:
        return part
    if growth == "top":
        return _window(part, 0, 0, width, max(2, round(height * share / 2) * 2))
    shown = max(2, round(width * share / 2) * 2)
    left = 0 if growth == "left" else (width - shown) // 4 * 2
    return _window(part, left, 0, shown, height)


def _window(part: Patch, left: int, top: int, width: int, height: int) -> Patch:
    inner = [
        Nv12(
            pixels.y[top : top + height, left : left + width],
            pixels.uv[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2],
        )
        for pixels in (part.colour, part.through)
    ]
    return Patch(part.left + left, part.top + top, *inner)


def _times(covered: Pixels, level: float) -> Pixels:
    table = np.rint(np.arange(_OPAQUE + 1) * (level / _OPAQUE)).astype(np.uint8)
    return cv2.LUT(covered, table).astype(np.uint8, copy=False)
