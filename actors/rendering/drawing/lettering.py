"""Text that fits: lines broken evenly, sizes reduced until they do, written in any script; boxes with smooth corners.

Works on images with straight alpha; what it returns is turned into patches by its callers.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from PIL import Image, ImageDraw

from actors.rendering.drawing.fonts import Face, Font
from actors.rendering.planning import unspaced
from actors.rendering.styles import Colour

#: Corners are drawn this much larger and reduced: PIL draws shapes without smoothing.
_SMOOTH = 4
_SHRINK = 0.94
_SMALLEST = 0.45


def write(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], line: str, face: Face, fill: tuple[int, int, int, int]
) -> None:
    """Write one line; `at` is its upper left corner, the height of `face.getmetrics()` above its lowest point."""
    left, top = at
    ink = face.ink([glyph for word in face.line([line]).words for glyph in word])
    if ink:
        where = (round(left) + ink.left, round(top) + face.getmetrics()[0] + ink.top)
        draw.bitmap(where, Image.fromarray(ink.mask), fill=fill)


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
    used = 0.0
    for gap, piece in _pieces(text):
        # Kerning across a blank is left out here: it is less than a blank's own share, and lines are set whole later.
        longer = used + face.getlength(gap) + face.getlength(piece)
        if broken and longer <= width_px:
            broken[-1], used = f"{broken[-1]}{gap}{piece}", longer
        else:
            broken.append(piece)
            used = face.getlength(piece)
    return broken


@lru_cache(maxsize=64)
def _pieces(text: str) -> tuple[tuple[str, str], ...]:
    """What a line is made of, words and parts of what is written without blanks, each with what stands before it."""
    return tuple(
        ("" if place else " ", piece) for word in text.split() for place, piece in enumerate(unspaced.cut(word))
    )


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
    # the longest beginning that fits; nothing at all always counts as fitting
    kept = bisect_right(range(1, len(line) + 1), width_px, key=lambda end: face.getlength(f"{line[:end]}…"))
    return f"{line[:kept].rstrip(' …')}…"


def box(width: int, height: int, radius: float, colour: Colour, alpha: float) -> Image.Image:
    """A box with round corners."""
    mask = Image.new("L", (width * _SMOOTH, height * _SMOOTH))
    corner = (mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, *corner), radius * _SMOOTH, fill=round(255 * alpha))
    image = Image.new("RGBA", (width, height), (*colour, 0))
    image.putalpha(mask.resize((width, height), Image.Resampling.BOX))
    return image
