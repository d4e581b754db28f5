"""Words set on one line, each by the first font that has its characters, in the order in which they are seen.

Guarantees that every word keeps its own glyphs, in whatever order the line shows them, and that the whole line was
shaped at once: kerning and joining across words are right. It breaks no lines; see lettering.py.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from actors.rendering.drawing.directions import runs
from actors.rendering.drawing.faces import FontFile, Glyph, Ink, drawn

#: Never drawn, whatever the font; Unicode's Default_Ignorable_Code_Point.
_INVISIBLE = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
_JOINER, _AS_EMOJI = "\u200d", "\ufe0f"
_TONES = range(0x1F3FB, 0x1F400)
_FLAGS = range(0x1F1E6, 0x1F200)


class Line(NamedTuple):
    """A line set in ems, seen from left to right."""

    width: float
    #: The glyphs of each word, words in the order spoken.
    words: tuple[tuple[Glyph, ...], ...]


class Typesetter:
    """Sets lines in one weight; `pick` gives for every character of a text the font that draws it, or None.

    Remembers what it set: the same words are measured again and again while a text is being fitted.
    """

    def __init__(
        self, pick: Callable[[str], Sequence[FontFile | None]], weight: int, language: str, *, from_right: bool
    ) -> None:
        self._pick, self._weight, self._language, self._from_right = pick, weight, language, from_right
        self.line = lru_cache(maxsize=1024)(self._line)

    def _line(self, words: tuple[str, ...], gaps: tuple[str, ...] = ()) -> Line:
        """The words on one line, with `gaps[i]` between words i and i + 1."""
        text, owners = "", list[int]()
        for place, (word, gap) in enumerate(itertools.zip_longest(words, gaps, fillvalue="")):
            text += word + gap
            owners += [place] * len(word + gap)
        fonts, pen = self._pick(text), 0.0
        owned: list[list[Glyph]] = [[] for _ in words]
        for first, end, from_right, font in _stretches(text, fonts, self._from_right):
            kept = [place for place in range(first, end) if _is_for(font, text[place])]
            part = "".join(text[place] for place in kept)
            glyphs, width = font.shaped(part, self._weight, self._language, from_right=from_right)
            for glyph in glyphs:
                owned[owners[kept[glyph.letter]]].append(glyph._replace(x=glyph.x + pen))
            pen += width
        return Line(pen, tuple(map(tuple, owned)))


class Face:
    """What a typesetter sets, in one size."""

    def __init__(self, setter: Typesetter, metrics: tuple[float, float], size_px: int) -> None:
        self._setter, self._metrics = setter, metrics
        self.size = size_px

    def getmetrics(self) -> tuple[int, int]:
        """How far lines reach above and below their base line, px."""
        above, below = self._metrics
        return round(above * self.size), round(below * self.size)

    def getlength(self, text: str) -> float:
        """How wide the text is on one line, px."""
        return self._setter.line((text,)).width * self.size

    def line(self, words: Sequence[str], gaps: Sequence[str] = ()) -> Line:
        """The words on one line, in ems, with `gaps[i]` between words i and i + 1."""
        return self._setter.line(tuple(words), tuple(gaps))

    def ink(self, glyphs: Sequence[Glyph], scale: int = 1) -> Ink | None:
        """These glyphs drawn, `scale` times as large."""
        return drawn(glyphs, self.size * scale)


def _stretches(
    text: str,
    fonts: Sequence[FontFile | None],
    is_line_from_right: bool,  # noqa: FBT001 - private, and named
) -> Iterator[tuple[int, int, bool, FontFile]]:
    """Characters of one direction and one font, in the order seen."""
    for run in runs(text, from_right=is_line_from_right):
        found = []
        for font, group in itertools.groupby(range(run.first, run.end), lambda place: fonts[place]):
            places = list(group)
            if font is not None:
                found.append((places[0], places[-1] + 1, run.from_right, font))
        yield from reversed(found) if run.from_right else found


def _is_for(font: FontFile, letter: str) -> bool:
    return ord(letter) in font.covers or not is_optional(letter)


def is_invisible(letter: str) -> bool:
    """Whether no font draws this character: joiners, selectors, marks of direction."""
    code = ord(letter)
    return any(first <= code <= last for first, last in _INVISIBLE) or unicodedata.category(letter) in {
        "Cc",
        "Zl",
        "Zp",
    }


def is_optional(letter: str) -> bool:
    """Whether a text may lose this character where no font has it: what is not seen, and marks on other characters."""
    return is_invisible(letter) or unicodedata.category(letter) in {"Mn", "Me", "Zs"}


def clusters(text: str) -> list[str]:
    """The text in pieces that one font must draw: a letter with its marks, a whole emoji sequence, a flag.

    Joined they are the text again. Simpler than Unicode's grapheme clusters (UAX 29); enough to choose fonts by.
    """
    made: list[str] = []
    for letter in text:
        if made and (_continues(made[-1], letter)):
            made[-1] += letter
        else:
            made.append(letter)
    return made


def is_emoji(cluster: str) -> bool:
    """Whether the cluster asks to be drawn as an emoji, though a font of letters may have it too."""
    return _AS_EMOJI in cluster


def _continues(cluster: str, letter: str) -> bool:
    if cluster.endswith(_JOINER) and unicodedata.category(letter) == "So":
        return True
    if ord(letter) in _FLAGS:
        return len(cluster) == 1 and ord(cluster) in _FLAGS
    return is_invisible(letter) or unicodedata.category(letter) in {"Mn", "Mc", "Me"} or ord(letter) in _TONES
