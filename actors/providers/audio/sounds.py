"""What an aligner is told that a caption word sounds like: the words that are said for it, and phones for unknown ones.

Numbers are read out as cardinal numbers, in pairs where they look like years. Phones follow a few rules of English
spelling (ARPAbet, as CMUdict writes it): good enough to find where a name is spoken, far too crude to speak it.
"""

from __future__ import annotations

import re
import unicodedata

_ONE_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TEN_WORDS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety"
_ONES, _TENS = _ONE_WORDS.split(), _TEN_WORDS.split()
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_SIGNS = {
    "%": "percent",
    "&": "and",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "$": "dollars",
    "€": "euros",
    "£": "pounds",
}
_PART = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?|[a-z']+|[%&+=@$€£]")
_YEARS = range(1100, 2000)
_LARGEST = 10**12

_PHONES: dict[str, str] = {
    "tion": "SH AH N", "igh": "AY", "tch": "CH", "sch": "S K",
    "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "ck": "K", "qu": "K W", "ng": "NG", "wh": "W", "gh": "G",
    "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW", "ai": "EY", "ay": "EY", "oa": "OW", "oi": "OY",
    "oy": "OY", "au": "AO", "aw": "AO", "er": "ER", "ir": "ER", "ur": "ER",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K",
    "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V",
    "w": "W", "x": "K S", "y": "IY", "z": "Z",
}  # fmt: skip
_LONGEST_RULE = 4


def spoken_words(word: str) -> list[str]:
    """The lower-case words that are said for a caption word; empty when it holds no letter, digit or spoken sign."""
    plain = unicodedata.normalize("NFKD", word.replace("\u2019", "'").lower())
    said: list[str] = []
    for part in _PART.findall("".join(sign for sign in plain if not unicodedata.combining(sign))):
        if part[0].isdigit():
            said += _number(part)
        else:
            said += [_SIGNS.get(part, part.strip("'"))]
    return [part for part in said if part]


def phones_of(word: str) -> list[str]:
    """Phones for a word of a to z and apostrophes; at least one."""
    letters = word.replace("'", "")
    phones: list[str] = []
    place = 0
    while place < len(letters):
        for length in range(_LONGEST_RULE, 0, -1):
            found = _PHONES.get(letters[place : place + length])
            if found and len(letters[place : place + length]) == length:
                phones += found.split()
                place += length
                break
        else:
            place += 1
    return phones or ["AH"]


def _number(text: str) -> list[str]:
    whole, _, fraction = text.replace(",", "").partition(".")
    value = int(whole)
    if value >= _LARGEST:
        said = [_ONES[int(digit)] for digit in whole]
    elif value in _YEARS and not fraction and "," not in text:
        said = _cardinal(value // 100) + (_cardinal(value % 100) if value % 100 else ["hundred"])
    else:
        said = _cardinal(value)
    return said + (["point", *(_ONES[int(digit)] for digit in fraction)] if fraction else [])


def _cardinal(value: int) -> list[str]:
    for size, name in _SCALES:
        if value >= size:
            rest = value % size
            return [*_cardinal(value // size), name, *(_cardinal(rest) if rest else [])]
    if value < len(_ONES):
        return [_ONES[value]]
    return [_TENS[value // 10], *([_ONES[value % 10]] if value % 10 else [])]
