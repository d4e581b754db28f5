"""Pictures from files: refused by name when they are none or too large, else cut and sized for a frame once.

`check` reads only the header, so a whole film's pictures are judged before its first frame; a file whose header is
right and whose body is cut short is found when it is loaded. Portrait photographs are turned as their camera says;
transparent pictures stand on the darkest grey.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from actors.rendering.nv12 import Pixels
from actors.rendering.planning.framing import Interest, cut
from schema.errors import PermanentError

LARGEST_MEGAPIXELS = 100
_BEHIND = (16, 16, 16)
_TRANSPARENT = ("RGBA", "LA", "PA", "P")

# Pillow warns at its own limit, for the whole process; ours is checked below, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


def check(path: str) -> None:
    """Raise PermanentError, naming the file, when it is not a picture or larger than 100 megapixels."""
    with _opened(path):
        pass


def load(path: str, width: int, height: int, focus: tuple[float, float] = (0.5, 0.4)) -> Pixels:
    """The picture cut to the shape of (width, height), with the focus in it, and resampled to that, RGB.

    Raises PermanentError, naming the file, when it cannot be decoded.
    """
    return _sized(_cut(_decoded(path, width, height), width / height, focus), width, height)


def thumbnail(path: str, side: int) -> tuple[Pixels, float]:
    """All of the picture, its longer side so long, RGB; and its width by its height. Of a JPEG only a part is decoded.

    Raises PermanentError, naming the file, when it is not a picture, larger than 100 megapixels or cannot be decoded.
    """
    pixels = _decoded(path, side, side)
    height, width = pixels.shape[:2]
    scale = side / max(width, height)
    return _sized(pixels, max(8, round(width * scale)), max(8, round(height * scale))), width / height


def _decoded(path: str, width: int, height: int) -> Pixels:
    """The picture, upright, at least of this size if it is."""
    with _opened(path) as image:
        try:
            # A JPEG is decoded at the smallest of its scales that is still large enough.
            image.draft("RGB", (height, width) if _is_sideways(image) else (width, height))
            upright = ImageOps.exif_transpose(image)
            if upright.mode in _TRANSPARENT:
                clear = upright.convert("RGBA")
                upright = Image.new("RGB", clear.size, _BEHIND)
                upright.paste(clear, mask=clear.getchannel("A"))
            return np.asarray(upright.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise PermanentError(f"the picture {Path(path).name} cannot be decoded: {error}") from error


@contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    name = Path(path).name
    try:
        image = Image.open(path)
    except (UnidentifiedImageError, ValueError, SyntaxError) as error:
        hint = "expected JPEG, PNG, WebP or another still picture"
        raise PermanentError(f"{name} is not a picture that can be read", hint=hint) from error
    except OSError as error:
        raise PermanentError(f"the picture {name} cannot be opened: {error}") from error
    with image:
        megapixels = image.width * image.height / 1e6
        if megapixels > LARGEST_MEGAPIXELS:
            got = f"{name} has {image.width} x {image.height} pixels, {megapixels:.0f} megapixels"
            raise PermanentError(f"{got}: at most {LARGEST_MEGAPIXELS} are taken", hint="use a smaller picture")
        yield image


def _is_sideways(image: Image.Image) -> bool:
    orientation = 0x0112
    return int(image.getexif().get(orientation, 1)) > 4  # noqa: PLR2004 - 5 to 8 exchange width and height


def _cut(pixels: Pixels, shape: float, focus: tuple[float, float]) -> Pixels:
    """The largest part of the picture with this ratio of width to height, as framing.py has it."""
    height, width = pixels.shape[:2]
    left, top, wide, tall = cut(Interest(*focus, shape=width / height), shape)
    first_x, first_y = round(left * width), round(top * height)
    columns, rows = max(round(wide * width), 1), max(round(tall * height), 1)
    return pixels[first_y : first_y + rows, first_x : first_x + columns]


def _sized(pixels: Pixels, width: int, height: int) -> Pixels:
    smaller = width < pixels.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return cv2.resize(pixels, (width, height), interpolation=how).astype(np.uint8, copy=False)
