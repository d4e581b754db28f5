"""Captions: each phrase laid out once, each state of it (which word is lit) drawn once, when it is first needed.

Guarantees that nothing shifts while the light moves from word to word, and that a phrase fits its width. One phrase
is held at a time.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from PIL import Image, ImageDraw

from actors.rendering.drawing.fonts import BOLD, Font, drawable
from actors.rendering.drawing.lettering import box, fitted
from actors.rendering.nv12 import Patch, patch
from actors.rendering.planning.plan import Caption, Plan
from actors.rendering.styles import Style


class Captions:
    """The captions of one film; ask for frames in rising order."""

    def __init__(self, plan: Plan, style: Style, font: Font) -> None:
        self._plan, self._style, self._font = plan, style, font
        self._firsts = [caption.first for caption in plan.captions]
        self._state = (-1, -1)
        self._patch: Patch | None = None
        self._phrase: _Phrase | None = None

    def at(self, frame: int) -> Patch | None:
        """What is laid over this frame, if anything."""
        place = bisect_right(self._firsts, frame) - 1
        if place < 0 or frame >= self._plan.captions[place].end:
            return None
        caption = self._plan.captions[place]
        lit = bisect_right(caption.starts, frame) - 1
        if self._phrase is None or place != self._state[0]:
            self._phrase = _Phrase(caption, self._plan, self._style, self._font)
        if (place, lit) != self._state:
            self._state, self._patch = (place, lit), self._phrase.drawn(lit)
        return self._patch


class _Phrase:
    """The layout of one phrase: where each word stands in its box and the box in the frame."""

    def __init__(self, caption: Caption, plan: Plan, style: Style, font: Font) -> None:
        self._style = style
        self._words = [drawable(word) for word in caption.words]
        text = " ".join(self._words)
        size = round(style.caption_size * min(plan.width, plan.height))
        self._face, _ = fitted(
            text, font, weight=BOLD, size_px=size, width_px=style.caption_width * plan.width, most_lines=1
        )
        # Advances of the whole line, so that kerning across a space is right; word by word would drift.
        before = [" ".join([*self._words[:place], ""]) for place in range(len(self._words))]
        self._pens = [self._face.getlength(text) for text in before]
        ascent, descent = self._face.getmetrics()
        aside, above = round(size * 0.52), round(size * 0.22)
        width = (round(self._face.getlength(text)) + 2 * aside + 1) // 2 * 2
        height = (ascent + descent + 2 * above + 1) // 2 * 2
        self._left, self._top = (plan.width - width) // 2, round(style.caption_bottom * plan.height) - height
        self._pen = (aside, above)
        self._box = box(width, height, size * 0.3, style.scrim, style.scrim_alpha)

    def drawn(self, lit: int) -> Patch:
        image: Image.Image = self._box.copy()
        draw = ImageDraw.Draw(image)
        for place, (word, pen) in enumerate(zip(self._words, self._pens, strict=True)):
            colour = self._style.accent if place == lit else self._style.text
            draw.text((self._pen[0] + pen, self._pen[1]), word, font=self._face, fill=(*colour, 255))
        return patch(np.asarray(image), self._left, self._top)
