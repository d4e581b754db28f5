"""What is said for what is written: caption words, their readings, and which word each spoken piece belongs to.

The caption words of a text, joined by blanks, are the text again. The voice's package rewrites a sentence before it
speaks ("Dr. Smith paid $5 million" becomes "Dr Smith paid 5 million dollars"); `owners` finds the caption word behind
each piece by matching both lists. Two words that the package fuses into one cannot be told apart: one of them gets it.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

#: The package spells these out letter by letter, or not at all.
_READINGS = {
    "e.g.": "for example",
    "i.e.": "that is",
    "w/o": "without",
    "km²": "square kilometers",
    "m²": "square meters",
    "m³": "cubic meters",
}
#: Units that the package takes for letters, as they are words of their own; only after a number.
_UNITS = {"m": "meters", "g": "grams", "l": "liters", "L": "liters"}
_URL = re.compile(r"(?:https?://|ftp://)?(?:www\.)?((?:[\w-]+\.)+[A-Za-z]{2,}(?:[/?#][^\s]*)?)")
_EMAIL = re.compile(r"[\w.+-]+@(?:[\w-]+\.)+[A-Za-z]{2,}")
_URL_SIGNS = {".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", "?": "", "=": "", "&": "", "#": ""}
_AROUND = re.compile(r"^(\W*)(.*?)(\W*)$", re.DOTALL)


def caption_words(text: str) -> list[str]:
    """Split `text` at blanks; a piece without letter, digit or spoken sign joins the word before it."""
    words: list[str] = []
    opening = ""
    for piece in text.split():
        if not (any(sign.isalnum() for sign in piece) or piece in "&+%=@°"):
            if words:
                words[-1] += f" {piece}"
            else:
                opening += f"{piece} "
        else:
            words.append(opening + piece)
            opening = ""
    return words


def readings(words: list[str]) -> list[str]:
    """Give for each caption word the text that the package is handed; of the same meaning, one or more words long."""
    return [_reading(word, words[index - 1] if index else "") for index, word in enumerate(words)]


def _reading(word: str, before: str) -> str:
    plain = word.replace("\u2019", "'").replace("](", "] (")  # "](" would be taken for the package's own markup
    match = _AROUND.match(plain)
    opening, bare, closing = match.groups() if match else ("", plain, "")
    for dotted in (f"{bare}.", bare):  # "e.g." keeps its full stop, a sentence gives its own away
        if dotted in _READINGS:
            return opening + _READINGS[dotted] + closing.removeprefix("." if dotted[-1] == "." else "")
    if bare in _UNITS and before[-1:].isdigit():
        return opening + _UNITS[bare] + closing
    if _EMAIL.fullmatch(bare):
        return opening + _spelled(bare) + closing
    address = _URL.fullmatch(bare.rstrip("/"))
    if address and ("/" in bare or "www." in bare or bare.rsplit(".", 1)[-1] in {"com", "org", "net", "io", "dev"}):
        return opening + _spelled(address.group(1)) + closing
    return plain


def _spelled(address: str) -> str:
    """Read an address aloud: "example.com/maps" is "example dot com slash maps"."""
    pieces = re.findall(r"\w+?(?=_|\b|$)|[^\w\s]|_", address)
    return " ".join(said for piece in pieces if (said := _URL_SIGNS.get(piece, piece if piece.isalnum() else "")))


def owners(read: list[str], said: list[str]) -> list[int]:
    """Find for each piece of `said` (the package's rewriting, split at blanks) the caption word it belongs to.

    Args:
        read: the reading of each caption word, as handed to the package.
        said: what the package made of them, in order.

    Returns:
        One index into `read` for each piece of `said`, never falling.
    """
    pieces = [(piece, index) for index, reading in enumerate(read) for piece in reading.split()]
    matcher = SequenceMatcher(
        None, [_key(piece) for piece, _ in pieces], [_key(piece) for piece in said], autojunk=False
    )
    found: list[int] = []
    for _, start, end, said_start, said_end in matcher.get_opcodes():
        for offset in range(said_end - said_start):
            if start == end:  # said, but not written: belongs to the word before ("dollars" in "$5 million")
                found.append(pieces[max(start - 1, 0)][1])
            else:
                found.append(pieces[start + offset * (end - start) // (said_end - said_start)][1])
    return found


def _key(piece: str) -> str:
    return re.sub(r"\W", "", piece.lower())
