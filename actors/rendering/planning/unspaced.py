"""Writing without blanks between words: Japanese, Chinese, Thai and their like, cut where a line may break, and joined.

Which blanks to leave out is seen from the letters themselves, so a name in Latin letters needs no marking. Cutting
follows BudouX's models for Japanese, Chinese and Thai; Lao, Khmer and Burmese are cut before any syllable.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, Protocol

_EAST: Final = (
    r"\u2e80-\u303f\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
)
_SOUTH_EAST: Final = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_IS_EAST, _IS_SOUTH_EAST = re.compile(f"[{_EAST}]"), re.compile(f"[{_SOUTH_EAST}]")
_STRETCH: Final = re.compile(f"[{_EAST}{_SOUTH_EAST}]+|[^{_EAST}{_SOUTH_EAST}]+")
#: These may not begin a line, and their counterparts may not end one (JIS X 4051, in short).
_NOT_FIRST: Final = frozenset(
    "、。,.，．・：；:;！？!?」』）】〕〉》〗｠ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ…‥ๆฯ”\u2019)]"  # noqa: RUF001 - meant as written
)
_NOT_LAST: Final = frozenset("「『（【〔〈《〖｟“\u2018([")  # noqa: RUF001 - likewise


class _Parser(Protocol):
    """What cuts a language."""

    def parse(self, sentence: str) -> list[str]:
        """The sentence in pieces."""


def gap(before: str, after: str) -> str:
    """What stands between two words on a line: a blank, or nothing."""
    sides = before[-1:], after[:1]
    if any(map(_IS_EAST.match, sides)) or all(map(_IS_SOUTH_EAST.match, sides)):
        return ""
    return " "


def joined(words: Sequence[str]) -> str:
    """The words as they are written."""
    return "".join(word + mark for word, mark in zip(words, [*gaps(words), ""], strict=True))


def gaps(words: Sequence[str]) -> list[str]:
    """What stands after each word but the last."""
    return [gap(before, after) for before, after in itertools.pairwise(words)]


def is_unspaced(text: str) -> bool:
    """Whether some of the text is of a kind that is written without blanks."""
    return bool(_IS_EAST.search(text) or _IS_SOUTH_EAST.search(text))


def columns(text: str) -> int:
    """How wide the text is, counted in letters: an ideograph takes the room of two, a mark takes none."""
    return sum(
        2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
        if unicodedata.category(letter) not in {"Mn", "Me", "Cf"}
    )


def cut(word: str, language: str = "") -> list[str]:
    """The word in pieces between which a line may break without a blank; joined they are the word again."""
    if not is_unspaced(word):
        return [word]
    pieces: list[str] = []
    for stretch in _STRETCH.findall(word):
        if is_unspaced(stretch) and len(stretch) > 1:
            parser = _parser(_model(stretch, language))
            pieces += parser.parse(stretch) if parser else _syllables(stretch)
        else:
            pieces.append(stretch)
    return _tidied(pieces)


def _model(text: str, language: str) -> str:
    if _IS_SOUTH_EAST.search(text):
        return "thai" if any("\u0e00" <= letter <= "\u0e7f" for letter in text) else ""
    if language.startswith("ja") or any("\u3040" <= letter <= "\u30ff" for letter in text):
        return "japanese"
    is_traditional = any(mark in language.casefold() for mark in ("hant", "tw", "hk", "mo"))
    return "traditional_chinese" if is_traditional else "simplified_chinese"


@lru_cache(maxsize=4)
def _parser(model: str) -> _Parser | None:
    import budoux  # noqa: PLC0415 - most films need none, and it reads HTML, too

    return getattr(budoux, f"load_default_{model}_parser")() if model else None


def _syllables(text: str) -> list[str]:
    """A letter with the signs around it; a vowel written before its consonant stays with it."""
    return re.findall(r"[\u0ec0-\u0ec4]*.(?:\u17d2.|\u1039.|[^\w\s]|[\u0eb0-\u0ebd\u0ec6-\u0ecd])*", text) or [text]


def _tidied(pieces: Iterable[str]) -> list[str]:
    """No piece begins with a closing mark or ends with an opening one."""
    tidy: list[str] = []
    for piece in pieces:
        if tidy and (piece[0] in _NOT_FIRST or tidy[-1][-1] in _NOT_LAST):
            tidy[-1] += piece
        else:
            tidy.append(piece)
    return tidy
