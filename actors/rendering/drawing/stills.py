"""Pictures from files: refused by name when they are none or too large, else cut and sized for a frame once.

`check` reads only the header; a file whose header is right and whose body is cut short is found when it is decoded,
which the search for what matters in it does before a film's first frame. Photographs are turned as their camera says,
transparent pictures stand on the darkest grey, of an animated one the first picture is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from actors.rendering.nv12 import Pixels
from actors.rendering.planning.framing import Interest, cut
from schema.errors import PermanentError
from schema.sized import Sized

LARGEST_MEGAPIXELS = 100
_BEHIND = (16, 16, 16)
_TRANSPARENT = ("RGBA", "LA", "PA", "P")
#: The tag of EXIF, what its values ask for, and from which on width and height are exchanged.
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = 5
#: What is opened at all: Pillow knows more, and starts other programs for some.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")

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


@lru_cache(maxsize=256)
def thumbnail(path: str, side: int) -> tuple[Pixels, float]:
    """All of the picture, its longer side so long, RGB; and its width by its height. Of a JPEG only a part is decoded.

    Remembered, for whoever else wants to look: do not write to it.

    Raises PermanentError, naming the file, when it is not a picture, larger than 100 megapixels or cannot be decoded.
    """
    pixels = _decoded(path, side, side)
    height, width = pixels.shape[:2]
    scale = side / max(width, height)
    return _sized(pixels, max(8, round(width * scale)), max(8, round(height * scale))), width / height


def _decoded(path: str, width: int, height: int) -> Pixels:
    """The picture, upright, at least of this size if it is; of an animated one the first."""
    with _opened(path) as image:
        try:
            turned = int(image.getexif().get(_ORIENTATION, 1))
            wanted = (height, width) if turned >= _SIDEWAYS else (width, height)
            # A JPEG is decoded at the smallest of its scales that is still large enough.
            image.draft("RGB", wanted)
            plain = _opaque(_eight_bits(image))
            # Large ones are made smaller at once: a hundred megapixels are not held twice.
            if (times := min(image.width // wanted[0], image.height // wanted[1])) > 1:
                plain = plain.reduce(times)
            return np.asarray(plain.transpose(_TURNS[turned]) if turned in _TURNS else plain)
        except Exception as error:  # a broken file makes Pillow raise anything, IndexError and struct.error too
            raise PermanentError(f"the picture {Path(path).name} cannot be decoded: {error}") from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """The picture where it has 16 bits or more of grey, which Pillow itself would cut off and not scale."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    levels = np.asarray(image, np.float64)
    most = 1.0 if image.mode == "F" and levels.max() <= 1 else 255.0 if levels.max() <= 255 else 65535.0  # noqa: PLR2004
    return Image.fromarray(np.clip(levels * (255 / most), 0, 255).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode not in _TRANSPARENT:
        return image if image.mode == "RGB" else image.convert("RGB")
    clear = image.convert("RGBA")
    behind = Image.new("RGB", clear.size, _BEHIND)
    behind.paste(clear, mask=clear.getchannel("A"))
    return behind


@contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    name = Path(path).name
    with ExitStack() as opened:
        yield _checked(name, path, opened)


def _checked(name: str, path: str, opened: ExitStack) -> Image.Image:
    try:
        image = opened.enter_context(Image.open(opened.enter_context(Sized(path)), formats=_FORMATS))
    except (UnidentifiedImageError, ValueError, SyntaxError) as error:
        hint = "expected JPEG, PNG, WebP or another still picture"
        raise PermanentError(f"{name} is not a picture that can be read", hint=hint) from error
    except OSError as error:
        raise PermanentError(f"the picture {name} cannot be opened: {error}") from error
    megapixels = image.width * image.height / 1e6
    if megapixels > LARGEST_MEGAPIXELS:
        got = f"{name} has {image.width} x {image.height} pixels, {megapixels:.0f} megapixels"
        raise PermanentError(f"{got}: at most {LARGEST_MEGAPIXELS} are taken", hint="use a smaller picture")
    return image


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
