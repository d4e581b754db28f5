"""Reads the user's pronunciations: a file of lines `word /phonemes/` in the voice's alphabet.

Empty lines and lines that begin with # are skipped; the last line for a word wins. Upper and lower case do not matter.
"""

from __future__ import annotations

import re
from pathlib import Path

from schema.errors import ConfigurationError

_LINE = re.compile(r"(\S+)\s+/(\S.*?)/")
_HINT = "write one word a line, such as: cephalopod /s\u02c8\u025bf\u0259l\u0259p\u02cc\u0251d/"


def read_lexicon(path: Path, alphabet: frozenset[str]) -> dict[str, str]:
    """Return the phonemes for each lower-case word; raise `ConfigurationError` naming the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the voice lexicon {path}: {error}", hint=_HINT) from error
    lexicon = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigurationError(
                f"{path} line {number}: got {line.strip()!r}, expected word /phonemes/", hint=_HINT
            )
        unknown = sorted(set(match[2]) - alphabet)
        if unknown:
            message = f"{path} line {number}: got {' '.join(unknown)!r}, which is not in the voice's alphabet"
            raise ConfigurationError(message, hint=_HINT)
        lexicon[match[1].lower()] = match[2]
    return lexicon
