"""Turns a picture of unknown origin into one that a film can use, or passes it over.

A fresh JPEG, turned as the camera meant it and without whatever else the file carried (place, camera, owner). What
cannot be read, is too small for a film, or would fill the memory, is passed over with a line in the log.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import structlog
from PIL import Image, ImageOps

from schema.sized import Sized

#: The shorter side of a picture, in pixels.
_SMALLEST_SIDE = 640
#: More pixels than this are refused before they are decoded: they would fill the memory.
_LARGEST_PIXELS = 100_000_000
_JPEG_QUALITY = 92
#: By its bytes, whatever its name: some of what Pillow knows besides starts programs, as EPS does.
_FORMATS = ("JPEG", "PNG", "WEBP")
#: Rows that are scaled at once.
_ROWS = 256

_log = structlog.get_logger(__name__)


def plain_copy(path: Path, target: Path, width: int, height: int) -> Path | None:
    """Copy a picture as JPEG to `target`, at most as large as a film of this size can show.

    None, and the reason in the log, when it cannot be used.
    """
    try:
        picture = _opened(path)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        _log.warning("picture_passed_over", file=path.name, reason=str(error))
        return None
    scale = max(width / picture.width, height / picture.height)
    if scale < 1:
        size = round(picture.width * scale), round(picture.height * scale)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    picture.save(target, "JPEG", quality=_JPEG_QUALITY)
    return target


def _opened(path: Path) -> Image.Image:
    """Decode a picture, upright and plain; `ValueError` says what does not fit, other errors are what Pillow raises."""
    with (
        warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
        Sized(path) as file,
        Image.open(file, formats=_FORMATS) as opened,
    ):
        if opened.width * opened.height > _LARGEST_PIXELS:
            message = f"got {opened.width}x{opened.height} pixels, expected at most {_LARGEST_PIXELS} in all"
            raise ValueError(message)
        if min(opened.size) < _SMALLEST_SIDE:
            message = (
                f"got {opened.width}x{opened.height} pixels, expected {_SMALLEST_SIDE} or more on the shorter side"
            )
            raise ValueError(message)
        return _flattened(ImageOps.exif_transpose(opened))


def _flattened(picture: Image.Image) -> Image.Image:
    """Bring a picture to plain RGB, what is transparent to black, and leave its metadata behind."""
    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        opaque = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        opaque.alpha_composite(picture.convert("RGBA"))
        picture = opaque
    if picture.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off and not scale
        picture = _eight_bits(picture)
    plain = picture.convert("RGB")
    plain.info.clear()
    return plain


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Scale levels to 8 bits, some rows at a time: as floats, a picture of the largest size would take gigabytes."""
    levels = np.asarray(picture)
    most = 65535 if levels.max() > 255 else 255  # noqa: PLR2004 - 8 bits
    made = np.empty(levels.shape, np.uint8)
    for top in range(0, len(levels), _ROWS):
        made[top : top + _ROWS] = np.clip(levels[top : top + _ROWS] * (255 / most), 0, 255)
    return Image.fromarray(made)
