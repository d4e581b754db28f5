"""The fonts that ship with the factory: families for looks, Noto for every other script, chosen by what they have.

A word is drawn by the first font that has all of it, the style's own before all others; a word that no single font
has is drawn cluster by cluster. Guarantees that a character no font can draw is named before the first frame, instead
of appearing as a box. Emoji come in one colour. Marks that no font has are left out, and so is what is never seen.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

from actors.rendering.drawing.directions import is_from_right
from actors.rendering.drawing.faces import FontFile
from actors.rendering.drawing.shaping import Face, Typesetter, clusters, is_emoji, is_optional
from schema.errors import PermanentError

__all__ = ["BOLD", "EXTRA_BOLD", "FAMILIES", "REGULAR", "SEMI_BOLD", "Face", "Font", "choose", "drawable"]

REGULAR, SEMI_BOLD, BOLD, EXTRA_BOLD = 400, 600, 700, 800


class _Source(NamedTuple):
    """Where a font lies: a package, a file in it, a face of a collection, and axes that are always set alike."""

    package: str
    file: str
    face: int = 0
    axes: tuple[tuple[str, float], ...] = ()


def _family(package: str, file: str, **axes: float) -> _Source:
    return _Source(f"fontpkg_{package}", f"files/{file}", 0, tuple(axes.items()))


def _noto(name: str) -> _Source:
    return _Source("manimgx_fonts", f"Noto{name}[wght].ttf")


#: What a style may name. The posters, anton and bebas-neue, have one weight and no Greek or Cyrillic.
FAMILIES: Final[dict[str, _Source]] = {
    "anton": _family("anton", "Anton-Regular.ttf"),
    "bebas-neue": _family("bebas_neue", "BebasNeue-Regular.ttf"),
    "montserrat": _family("montserrat", "Montserrat[wght].ttf"),
    "nunito": _family("nunito", "Nunito[wght].ttf"),
    "oswald": _family("oswald", "Oswald[wght].ttf"),
    # the optical size for headlines: letters in a film are large
    "source-serif": _family("source_serif_4", "SourceSerif4[opsz,wght].ttf", opsz=40),
}
_EMOJI: Final = _noto("Emoji")
_SCRIPTS: Final = (
    "Sans SansArabic SansHebrew SansDevanagari SansThai SansArmenian SansBengali SansEthiopic SansGeorgian "
    "SansGujarati SansGurmukhi SansKannada SansKhmer SansLao SansMalayalam SansMyanmar SansOriya SansSinhala "
    "SansTamil SansTelugu"
)
_SYMBOLS: Final = _noto("SansSymbols")
#: Han characters look different from country to country: the faces of the collection, in its order.
_CJK_FACES: Final = ("ja", "ko", "zh-hans", "zh-hant", "zh-hk")
#: A fallback may reach further up and down than this, ems, but lines are not spread for it.
_MOST_ABOVE, _MOST_BELOW = 1.07, 0.38
_EMBEDDINGS = re.compile("[\u202a-\u202e\u2066-\u2069]")


class Font:
    """A family and what stands in for it, for one film; any size and weight."""

    def __init__(self, family: str, text: str, language: str) -> None:
        self._own = _open(FAMILIES[family])
        self._language, self._from_right = language, is_from_right(text)
        self._cjk = _Source("manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc", _CJK_FACES.index(_country(text, language)))
        self._pick = lru_cache(maxsize=2048)(self._picked)
        #: The fonts that draw this film's text, apart from emoji and signs.
        self._used = {font for font in self.pick(text) if font} - {_open(_EMOJI), _open(_SYMBOLS)}
        self._setter = lru_cache(maxsize=8)(self._setting)
        self.face = lru_cache(maxsize=32)(self._face)

    def _face(self, size_px: int, weight: int) -> Face:
        above, below = self._own.metrics(weight)
        for font in self._used - {self._own}:
            up, down = font.metrics(weight)
            above, below = max(above, min(up, _MOST_ABOVE)), max(below, min(down, _MOST_BELOW))
        return Face(self._setter(weight), (above, below), size_px)

    def _setting(self, weight: int) -> Typesetter:
        return Typesetter(self.pick, weight, self._language, from_right=self._from_right)

    def pick(self, text: str) -> list[FontFile | None]:
        """For every character the font that draws it; None where none has it."""
        picked: list[FontFile | None] = []
        for word in re.findall(r"\S+|\s+", text):
            before = picked[-1] if picked else None
            # A blank is as wide as the word before it asks for; that of a poster face would be lost between others.
            is_blank = word.isspace() and before not in {None, _open(_EMOJI)}
            picked += [before] * len(word) if is_blank else self._pick(word)
        return picked

    def _picked(self, word: str) -> tuple[FontFile | None, ...]:
        cut = clusters(word)
        whole = None if any(map(is_emoji, cut)) else self._first_with(word)
        if whole:
            return (whole,) * len(word)
        picked: list[FontFile | None] = []
        for cluster in cut:
            font = self._first_with(cluster)
            picked += [font] * len(cluster) if font else map(self._first_with, cluster)
        return tuple(picked)

    def _first_with(self, text: str) -> FontFile | None:
        wanted = {ord(letter) for letter in text if not is_optional(letter)}
        full = wanted | {ord(letter) for letter in text if unicodedata.category(letter) == "Mn"}
        if not wanted:  # a blank or a mark by itself
            return self._own
        return next(
            (font for needed in (full, wanted) for font in self._fonts(is_emoji(text)) if needed <= font.covers), None
        )

    def _fonts(self, emoji_first: bool) -> Iterator[FontFile]:  # noqa: FBT001 - says itself what it is
        if emoji_first:
            yield _open(_EMOJI)
        yield self._own
        for name in _SCRIPTS.split():
            yield _open(_noto(name))
        yield _open(_EMOJI)
        yield _open(_SYMBOLS)
        yield _open(self._cjk)


def choose(text: str, family: str = "montserrat", language: str = "en") -> Font:
    """The font of this family for a film with this text, in the language of this BCP 47 tag.

    Raises PermanentError, naming the family that there is not or the characters that no font can draw.
    """
    if family not in FAMILIES:
        raise PermanentError(f"there is no font {family!r}", hint=f"expected one of {', '.join(FAMILIES)}")
    text = drawable(text)
    font = Font(family, text, language)
    pairs = zip(text, font.pick(text), strict=True)
    missing = sorted({letter for letter, found in pairs if found is None and not is_optional(letter)})
    if missing:
        named = ", ".join(
            f"{letter!r} (U+{ord(letter):04X} {unicodedata.name(letter, 'unnamed')})" for letter in missing[:3]
        )
        more = f" and {len(missing) - 3} more" if len(missing) > len(missing[:3]) else ""
        raise PermanentError(
            f"no font here can draw {named}{more}", hint="leave the character out of the words or title"
        )
    return font


def drawable(text: str) -> str:
    """The text as it is drawn: composed, so that an accent and its letter are one glyph, and without line breaks.

    Explicit embeddings of direction go, too: who opens one may not close it, and lines order themselves.
    """
    return " ".join(_EMBEDDINGS.sub("", unicodedata.normalize("NFC", text)).split())


@lru_cache(maxsize=64)
def _open(source: _Source) -> FontFile:
    return FontFile(Path(str(files(source.package) / source.file)), source.face, dict(source.axes))


def _country(text: str, language: str) -> str:
    """Which of the CJK faces: the language says, or else what else is written with the Han characters."""
    tag = language.casefold()
    if tag.startswith("zh"):
        if "hk" in tag or "mo" in tag.split("-"):
            return "zh-hk"
        return "zh-hant" if "hant" in tag or "tw" in tag else "zh-hans"
    if tag[:2] in _CJK_FACES:
        return tag[:2]
    if any("\u3040" <= letter <= "\u30ff" for letter in text):
        return "ja"
    return "ko" if any("\uac00" <= letter <= "\ud7a3" for letter in text) else "zh-hans"
