"""Cards: the title over the first picture, the heading of a scene in the upper corner.

Each is drawn once and shown by the compositor with more or less opacity; none reaches down to the captions.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from actors.rendering.drawing.fonts import EXTRA_BOLD, SEMI_BOLD, Font, drawable
from actors.rendering.drawing.lettering import box, fitted, write
from actors.rendering.nv12 import Patch, patch
from actors.rendering.planning.plan import Card, Plan
from actors.rendering.styles import Style

#: A card comes and goes within this, seconds.
_FADE_S = 0.35
_LEADING = 1.12


class Cards:
    """The cards of one film; ask for frames in rising order."""

    def __init__(self, plan: Plan, style: Style, font: Font) -> None:
        self._plan, self._style, self._font = plan, style, font
        self._drawn: tuple[Card, Patch] | None = None

    def at(self, frame: int) -> tuple[Patch, float] | None:
        """What is laid over this frame and how opaque it is, 0 to 1."""
        card = next((card for card in self._plan.cards if card.first <= frame < card.end), None)
        if card is None:
            return None
        if self._drawn is None or self._drawn[0] is not card:
            draw = _title if card.kind == "title" else _chapter
            self._drawn = (card, draw(drawable(card.text), self._plan, self._style, self._font))
        ramp = _FADE_S * self._plan.fps
        since, left = frame - card.first + 1, card.end - frame
        return self._drawn[1], min(1.0, since / ramp, left / ramp)


def _title(text: str, plan: Plan, style: Style, font: Font) -> Patch:
    """Large, left aligned beside a bar, on a band of the picture that darkens towards the text."""
    size = round(style.title_size * min(plan.width, plan.height))
    face, broken = fitted(
        text,
        font,
        weight=EXTRA_BOLD,
        size_px=size,
        width_px=style.title_width * plan.width,
        most_lines=style.title_lines,
    )
    step = round(sum(face.getmetrics()) * _LEADING)
    block = step * len(broken)
    height = min(round(block + 4.2 * size), round(style.caption_bottom * plan.height)) // 2 * 2
    top = max(0, round(style.title_middle * plan.height) - height // 2) // 2 * 2
    image = _band(plan.width, height, style)
    draw = ImageDraw.Draw(image)
    left, upper = round(style.margin * plan.width), (height - block) // 2
    bar = max(4, round(size * 0.09))
    draw.rectangle((left, upper + step * 0.08, left + bar - 1, upper + block - step * 0.12), fill=(*style.accent, 255))
    for place, line in enumerate(broken):
        at = (left + bar + size * 0.38, upper + place * step)
        write(draw, at, line, face, (*style.text, 255))
    return patch(np.asarray(image), 0, top)


def _band(width: int, height: int, style: Style) -> Image.Image:
    """The scrim's colour across the whole width, opaque in the middle and fading away above and below."""
    across = np.linspace(-1, 1, height)
    rising = np.clip((1 - np.abs(across)) / 0.7, 0, 1)
    alpha = np.round(255 * style.title_scrim_alpha * rising * rising * (3 - 2 * rising)).astype(np.uint8)
    image = Image.new("RGBA", (width, height), (*style.scrim, 0))
    image.putalpha(Image.fromarray(np.repeat(alpha[:, None], width, axis=1)))
    return image


def _chapter(text: str, plan: Plan, style: Style, font: Font) -> Patch:
    """One small line in a box, beside a bar, in the upper left corner."""
    size = round(style.chapter_size * min(plan.width, plan.height))
    face, broken = fitted(
        text,
        font,
        weight=SEMI_BOLD,
        size_px=size,
        width_px=(1 - 2 * style.margin) * plan.width - 3 * size,
        most_lines=1,
    )
    line = broken[0] if broken else ""
    ascent, descent = face.getmetrics()
    aside, above, bar = round(size * 0.6), round(size * 0.34), max(4, round(size * 0.14))
    width = round(face.getlength(line)) + bar + round(size * 0.45) + 2 * aside
    height = ascent + descent + 2 * above
    image = box(width, height, size * 0.3, style.scrim, style.scrim_alpha)
    draw = ImageDraw.Draw(image)
    draw.rectangle(
        (aside, above + descent * 0.6, aside + bar - 1, height - above - descent * 0.6), fill=(*style.accent, 255)
    )
    write(draw, (aside + bar + size * 0.45, above), line, face, (*style.text, 255))
    return patch(np.asarray(image), round(style.margin * plan.width), round(style.margin_top * plan.height))
