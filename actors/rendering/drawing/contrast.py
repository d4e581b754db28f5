"""How well one colour is read on another, as WCAG 2 measures it."""

from __future__ import annotations

from collections.abc import Iterable

from actors.rendering.styles import Colour

#: What text needs at least.
LEAST = 4.5


def contrast(first: Colour, second: Colour) -> float:
    """The contrast of two colours, 1 to 21."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: Colour) -> float:
    """The relative luminance of an sRGB colour, 0 to 1."""
    red, green, blue = (
        level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB's own constants
        for level in (channel / 255 for channel in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def read_on(ground: Colour, inks: Iterable[Colour]) -> Colour:
    """Whichever ink is read best on this ground."""
    return max(inks, key=lambda ink: contrast(ink, ground))
