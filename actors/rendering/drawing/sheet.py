"""What cards are built from: the frame's safe area, grounds, rules and lines; and how the parts of a card come in.

Guarantees that text keeps clear of the captions and of a platform's controls (see styles.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from PIL import Image

from actors.rendering.drawing.fonts import Font
from actors.rendering.drawing.patches import Alpha, Growth, ground, image_patch, merged
from actors.rendering.drawing.typesetting import Block, Setting, block, halo, ink
from actors.rendering.nv12 import Patch
from actors.rendering.planning.plan import Plan
from actors.rendering.styles import Align, Colour, Style

#: A frame takes six; captions need two.
MOST_PARTS: Final = 4
#: The alpha that shadows reach behind letters: white on white then still has 4.5 to 1, with some to spare.
_BEHIND_LETTERS: Final = 0.78
_PAPER: Final = 0.96
_COARSE: Final = 8
#: A 9:16 player has its buttons at the right, by the width.
_BUTTONS: Final = 0.12


#: Lines of a title come one after the other, seconds.
_STEP_S: Final = 0.10


class Part(NamedTuple):
    """A patch that comes into a card: when, from how far away (in pixels), and growing from where."""

    patch: Patch
    after_s: float = 0.0
    right: float = 0.0
    down: float = 0.0
    grows: Growth = ""


class Drawn(NamedTuple):
    """A card: its parts while they come, and all as one once they are there."""

    parts: tuple[Part, ...]
    whole: Patch


class Faces(NamedTuple):
    """What a film's cards are written in: titles, and all that is smaller."""

    display: Font
    text: Font


class Sheet:
    """What all layouts need: the frame, its safe area, and the title set in it."""

    def __init__(self, plan: Plan, style: Style, faces: Faces) -> None:
        self.plan, self.style, self.faces = plan, style, faces
        self.size = (plan.width, plan.height)
        self.short = min(self.size)
        upright = plan.height > plan.width
        self.left = style.margin * plan.width
        self.right = plan.width * (1 - (_BUTTONS if upright else style.margin))
        self.top, self.bottom = style.margin_top * plan.height, captions_top(plan, style)
        self.bar = max(4, round(style.title_size * self.short * 0.085) // 2 * 2)

    def set_title(self, text: str, *, width: float, align: Align = "left", scale: float = 1.0) -> Block:
        """The title in the style's letters; `scale` makes them smaller."""
        style = self.style
        room = (width, self.bottom - self.top - 3 * self.bar)
        size_px = style.title_size * scale * self.short
        how = Setting(style.title_weight, size_px, room, style.title_lines, style.title_leading, align)
        return block(text.upper() if style.title_capitals else text, self.faces.display, how)

    def middle(self, height: float) -> float:
        """The upper edge of something of this height around the style's middle, inside the safe area."""
        return min(max(self.style.title_middle * self.plan.height - height / 2, self.top), self.bottom - height)

    def rule(self, left: float, top: float, width: float, height: float, colour: Colour) -> Patch:
        """A plain area of one colour."""
        plain = Image.new("RGBA", (max(2, round(width)), max(2, round(height))), (*colour, 255))
        return image_patch(plain, round(left), round(top), self.size)

    def paper(self, left: float, top: float, width: float, height: float) -> Patch:
        """A sheet of the scrim's colour."""
        plain = Image.new("RGBA", (round(width), round(height)), (*self.style.scrim, round(255 * _PAPER)))
        return image_patch(plain, round(left), round(top), self.size)

    def lines(self, set_: Block, at: tuple[float, float], groups: int, colour: Colour) -> tuple[list[Patch], Alpha]:
        """The lines in at most so many patches, and the shape of all."""
        spans = [list(span) for span in np.array_split(np.arange(len(set_.lines)), groups) if span.size]
        drawn = [ink(set_, span, at, colour, self.size) for span in spans]
        return [patch for patch, _ in drawn], np.maximum.reduce([shape for _, shape in drawn])

    def grid(self) -> tuple[Alpha, Alpha]:
        """Across and down, in pixels."""
        down, across = np.ogrid[: self.plan.height, : self.plan.width]
        return across.astype(np.float32), down.astype(np.float32)

    def shadow(self, fall: Alpha, shape: Alpha, size_px: float) -> Patch:
        """A ground with this fall of its alpha, and enough of it close around the letters."""
        alpha = 1 - halo(shape, size_px, _BEHIND_LETTERS)
        alpha *= 1 - fall * np.float32(self.style.title_scrim_alpha)
        return ground(np.subtract(1, alpha, out=alpha), self.style.scrim)


def captions_top(plan: Plan, style: Style) -> float:
    """The lowest place for anything but captions, in pixels."""
    return style.caption_bottom * plan.height - 2.1 * style.caption_size * min(plan.width, plan.height)


def drawn(parts: Sequence[Part]) -> Drawn:
    """A card of these parts, the lowest first."""
    return Drawn(tuple(parts), merged([part.patch for part in parts]))


def coming(lines: Sequence[Patch], sheet: Sheet, first_s: float = 0.0) -> list[Part]:
    """The lines as parts that rise into their places, one after the other."""
    way = sheet.short * 0.028
    return [Part(line, after_s=first_s + _STEP_S * place, down=way) for place, line in enumerate(lines)]


def eased(share: Alpha) -> Alpha:
    """0 to 1 with a soft start and a soft end."""
    clipped = np.clip(share, 0, 1)
    return np.asarray(clipped * clipped * clipped * (clipped * (6 * clipped - 15) + 10), np.float32)


def vignette(sheet: Sheet, middle: float, set_: Block) -> Alpha:
    """How far a picture is darkened around something set at this height: most in the middle, a third at the edges."""
    size = (sheet.plan.width, sheet.plan.height)
    wide, tall = set_.width * 0.5 + 0.30 * size[0], set_.height * 0.5 + 0.34 * size[1]
    # It is smooth, so it is made small.
    down, across = np.ogrid[: size[1] // _COARSE, : size[0] // _COARSE]
    away = np.hypot(((across + 0.5) * _COARSE - size[0] / 2) / wide, ((down + 0.5) * _COARSE - middle) / tall)
    alpha = np.float32(0.34) + np.float32(0.66) * eased(np.asarray(1.25 - away, np.float32))
    return np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR), np.float32)
