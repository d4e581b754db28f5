"""Text that fits: lines broken evenly, sizes reduced until they do, boxes with smooth corners.

Works on images with straight alpha; what it returns is turned into patches by its callers.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

from actors.rendering.drawing.fonts import Face, Font
from actors.rendering.styles import Colour

#: Corners are drawn this much larger and reduced: PIL draws shapes without smoothing.
_SMOOTH = 4
_SHRINK = 0.94
_SMALLEST = 0.45


def lines(text: str, face: Face, width_px: float) -> list[str]:
    """The text in as few lines as `width_px` allows, and those as even as they can be."""
    broken = _greedy(text, face, width_px)
    low, high = width_px / 2, width_px
    while high - low > 1:
        middle = (low + high) / 2
        if len(_greedy(text, face, middle)) == len(broken):
            high = middle
        else:
            low = middle
    return _greedy(text, face, high)


def _greedy(text: str, face: Face, width_px: float) -> list[str]:
    broken: list[str] = []
    for word in text.split():
        longer = f"{broken[-1]} {word}" if broken else word
        if broken and face.getlength(longer) <= width_px:
            broken[-1] = longer
        else:
            broken.append(word)
    return broken


def fitted(
    text: str, font: Font, *, weight: int, size_px: int, width_px: float, most_lines: int
) -> tuple[Face, list[str]]:
    """The face and lines in which the text fits; what does not even in a small size ends in an ellipsis."""
    size = float(size_px)
    while True:
        face = font.face(round(size), weight)
        broken = _greedy(text, face, width_px)
        if len(broken) <= most_lines and all(face.getlength(line) <= width_px for line in broken):
            return face, lines(text, face, width_px)
        if size < size_px * _SMALLEST:
            return face, [shortened(line, face, width_px) for line in _kept(broken, most_lines)]
        size *= _SHRINK


def _kept(broken: list[str], most_lines: int) -> list[str]:
    return broken if len(broken) <= most_lines else [*broken[: most_lines - 1], f"{broken[most_lines - 1]} …"]


def shortened(line: str, face: Face, width_px: float) -> str:
    """The line, cut so that it and an ellipsis fit."""
    if face.getlength(line) <= width_px:
        return line
    while line and face.getlength(f"{line}…") > width_px:
        line = line[:-1].rstrip(" …")
    return f"{line}…"


def box(width: int, height: int, radius: float, colour: Colour, alpha: float) -> Image.Image:
    """A box with round corners."""
    mask = Image.new("L", (width * _SMOOTH, height * _SMOOTH))
    corner = (mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, *corner), radius * _SMOOTH, fill=round(255 * alpha))
    image = Image.new("RGBA", (width, height), (*colour, 0))
    image.putalpha(mask.resize((width, height), Image.Resampling.BOX))
    return image
