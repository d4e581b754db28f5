"""Captions: each phrase laid out and drawn once; then the spoken word is recoloured, and pops, in what was drawn.

Guarantees that nothing but the spoken word moves while the light goes from word to word, that a phrase fits its width,
and that both colours can be read over any picture: a box is made as dense as that takes, an outline is opaque. One
phrase is held at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np

from actors.rendering.drawing import contrast
from actors.rendering.drawing.fonts import BOLD, Face, Font, drawable
from actors.rendering.drawing.inking import (
    around,
    clear,
    copied,
    cropped,
    lay,
    outlined,
    placed,
    restore,
    scaled,
    shadow,
    tone,
)
from actors.rendering.drawing.lettering import box, shortened
from actors.rendering.nv12 import Patch, patch
from actors.rendering.planning import unspaced
from actors.rendering.planning.plan import Caption, Plan
from actors.rendering.styles import Style

#: How long the spoken word takes to settle, seconds.
_POP_S: Final = 4 / 30
#: All by the size of the text: room at the sides and above, corners, outline, shadow's reach and offset.
_ASIDE, _ABOVE, _CORNER = 0.52, 0.22, 0.3
_OUTLINE, _SHADOW, _DROP = 0.085, 0.12, 0.05
_SHADOW_ALPHA: Final = 0.55
#: A word that pops reaches this far beyond its place at most, so it does not run into its neighbours.
_REACH, _REACH_UNSPACED = 0.14, 0.1
#: Below this share of its size a text is cut rather than made smaller.
_SMALLEST: Final = 0.35


class Captions:
    """The captions of one film; ask for frames in rising order."""

    def __init__(self, plan: Plan, style: Style, font: Font, language: str = "en") -> None:
        self._plan, self._style, self._font, self._language = plan, style, font, language
        self._firsts = [caption.first for caption in plan.captions]
        self._pops = _pops(style.caption_pop, plan.fps)
        self._state = (-1, -1, -1)
        self._patch: Patch | None = None
        self._phrase: _Phrase | None = None

    def at(self, frame: int) -> Patch | None:
        """What is laid over this frame, if anything."""
        place = bisect_right(self._firsts, frame) - 1
        if place < 0 or frame >= self._plan.captions[place].end:
            return None
        caption = self._plan.captions[place]
        lit = bisect_right(caption.starts, frame) - 1
        step = min(frame - caption.starts[lit], len(self._pops)) if lit >= 0 else 0
        if self._phrase is None or place != self._state[0]:
            words = tuple(shown(word, self._style, self._language) for word in caption.words)
            self._phrase = _Phrase(words, self._plan, self._style, self._font)
        if (place, lit, step) != self._state:
            pop = self._pops[step] if step < len(self._pops) else 1.0
            self._state, self._patch = (place, lit, step), self._phrase.drawn(lit, pop)
        return self._patch


def shown(word: str, style: Style, language: str) -> str:
    """The word as the style writes it."""
    word = drawable(word)
    if not style.caption_capitals:
        return word
    dotted = language.split("-", maxsplit=1)[0].casefold() in {"tr", "az"}
    return drawable((word.replace("i", "İ") if dotted else word).upper())


def written(captions: Sequence[Caption], style: Style, language: str) -> str:
    """All that the captions will show, to choose their font by."""
    return " ".join(shown(word, style, language) for caption in captions for word in caption.words)


def scrim_alpha(style: Style) -> float:
    """How dense the box behind captions is: the style's own measure, or more where that could not be read."""
    return contrast.dense_enough((style.text, style.accent), style.scrim, style.scrim_alpha)


def _pops(largest: float, fps: int) -> tuple[float, ...]:
    """How large the spoken word is in each frame until it has settled."""
    frames = round(_POP_S * fps) if largest != 1 else 0
    return tuple(1 + (largest - 1) * (1 - frame / frames) ** 2 for frame in range(frames))


class _Phrase:
    """One phrase: where each word stands in its patch, and the patch in the frame."""

    def __init__(self, words: Sequence[str], plan: Plan, style: Style, font: Font) -> None:
        size = round(style.caption_size * min(plan.width, plan.height))
        gaps = unspaced.gaps(words)
        face, words = _fitting(words, gaps, font.face(size, BOLD), font, style.caption_width * plan.width)
        line = face.line(words, gaps)
        ascent, descent = face.getmetrics()
        aside, above = round(size * _ASIDE), round(size * _ABOVE)
        width = (round(line.width * face.size) + 2 * aside + 1) // 2 * 2
        height = (ascent + descent + 2 * above + 1) // 2 * 2
        self._reach = size * (_REACH if all(gaps) else _REACH_UNSPACED)
        self._text, self._accent, self._scrim = tone(style.text), tone(style.accent), tone(style.scrim)
        pen = (aside, above + ascent)
        inks = [face.ink(glyphs) for glyphs in line.words]
        self._inks = [placed(ink, pen, (width, height)) for ink in inks]
        if style.caption_look == "outline":
            doubled = [face.ink(glyphs, 2) for glyphs in line.words]
            edges = [outlined(ink, face.size * _OUTLINE) if ink else None for ink in doubled]
            self._edges = [placed(edge, pen, (width, height)) for edge in edges]
            bare = self._outlines(width, height, size)
        else:
            self._edges = [None] * len(inks)
            image = box(width, height, size * _CORNER, style.scrim, scrim_alpha(style))
            bare = patch(np.asarray(image), 0, 0)
        left, top = (plan.width - width) // 2, round(style.caption_bottom * plan.height) - height
        self._bare = bare._replace(left=left // 2 * 2, top=top // 2 * 2)
        self._plain = copied(self._bare)
        for ink in filter(None, self._inks):
            lay(self._plain, ink, self._text)

    def _outlines(self, width: int, height: int, size: int) -> Patch:
        """What stands behind letters without a box: a soft shadow and opaque outlines."""
        bare, edges = clear(width, height), list(filter(None, self._edges))
        lay(bare, shadow(edges, (width, height), round(size * _DROP), size * _SHADOW, _SHADOW_ALPHA), self._scrim)
        for edge in edges:
            lay(bare, edge, self._scrim)
        return bare

    def drawn(self, lit: int, pop: float) -> Patch:
        """The phrase with one word lit, and that word as many times its size."""
        ink = self._inks[lit] if lit >= 0 else None
        if ink is None:
            return self._plain
        made = copied(self._plain)
        height, width = made.colour.y.shape
        scale = min(pop, 1 + 2 * self._reach / ink.mask.shape[1])
        middle = (ink.left + ink.mask.shape[1] / 2, ink.top + ink.mask.shape[0] / 2)
        edge = self._edges[lit]
        parts = [(edge, self._scrim)] * (edge is not None and scale > 1) + [(ink, self._accent)]
        grown = [(scaled(part, scale, middle, (width, height)), colour) for part, colour in parts if part]
        area = around([ink, *(part for part, _ in grown)])
        restore(made, self._bare, area)
        for part, colour in grown[:-1]:
            lay(made, part, colour)
        for other in (other for place, other in enumerate(self._inks) if other and place != lit):
            within = cropped(other, area)
            if within:
                lay(made, within, self._text)
        lay(made, *grown[-1])
        return made


def _fitting(
    words: Sequence[str], gaps: Sequence[str], face: Face, font: Font, width_px: float
) -> tuple[Face, Sequence[str]]:
    """The face in which the words fit on one line; what does not even in a small one is cut."""
    width = face.line(words, gaps).width * face.size
    if width <= width_px:
        return face, words
    small = font.face(int(face.size * max(width_px / width, _SMALLEST)), BOLD)
    width = small.line(words, gaps).width * small.size
    if width <= width_px:
        return small, words
    return small, [shortened(word, small, small.getlength(word) * width_px / width) for word in words]
