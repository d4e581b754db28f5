"""How well a colour can be read on another, as WCAG 2 measures it, and boxes made dense enough to guarantee it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.rendering.styles import Colour

#: WCAG 2.1, criterion 1.4.3, level AA for text of any size.
ENOUGH: Final = 4.5
#: Aimed at where a box is made denser: eight bits and half the resolution in colour take a little.
_AIM: Final = 4.7
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_STEP = 0.01


def ratio(one: Colour, other: Colour) -> float:
    """The contrast of two colours, from 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: Colour) -> float:
    """The relative luminance of an sRGB colour, 0 to 1."""
    red, green, blue = (
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - of sRGB
        for part in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def read_on(ground: Colour, inks: Iterable[Colour]) -> Colour:
    """Whichever ink is read best on this ground."""
    return max(inks, key=lambda ink: ratio(ink, ground))


def behind(box: Colour, alpha: float, picture: Colour) -> Colour:
    """What is seen of a picture's colour through a box."""
    red, green, blue = (round(alpha * over + (1 - alpha) * under) for over, under in zip(box, picture, strict=True))
    return red, green, blue


def dense_enough(texts: Iterable[Colour], box: Colour, alpha: float) -> float:
    """The opacity, `alpha` or more, at which all texts can be read on the box whatever is behind it.

    The worst that can be behind is white, black or the text's own colour. 1 where nothing suffices.
    """
    texts = tuple(texts)
    while alpha < 1 and any(
        ratio(text, behind(box, alpha, picture)) < _AIM for text in texts for picture in (_WHITE, _BLACK, text)
    ):
        alpha += _STEP
    return min(alpha, 1.0)
