"""Says which script a letter belongs to, by its Unicode name."""

from __future__ import annotations

import unicodedata


def script_of(letter: str) -> str:
    """Name the script of `letter` in capitals: LATIN, CYRILLIC, CJK, ARABIC."""
    if letter.isascii() or letter in "ªºµ":
        return "LATIN"
    return unicodedata.name(letter, "UNKNOWN").split()[0].split("-")[0]


def is_latin(text: str) -> bool:
    """Say whether every letter of `text` is Latin: voice and captions carry nothing else."""
    return all(script_of(letter) == "LATIN" for letter in text if letter.isalpha())
