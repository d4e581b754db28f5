"""Puts a run into a page: what stands between two marks gives way to the tables of this run, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from schema.errors import ConfigurationError

END: Final = "<!-- up to here -->"


def check(path: Path, begin: str) -> None:
    """Raises ConfigurationError for a page that has not both marks, in order: before hours are spent."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the page {path} cannot be read: {error}") from error
    if not 0 <= text.find(begin) < text.find(END, max(0, text.find(begin))):
        raise ConfigurationError(f"the page {path} has no place for a run", hint=f"expected {begin} and {END}")


def put(path: Path, begin: str, lines: Iterable[str]) -> None:
    """Replace what stands between the marks."""
    text = path.read_text(encoding="utf-8")
    start = text.index(begin) + len(begin)
    middle = "\n".join(("", "", *lines, "", ""))
    path.write_text(text[:start] + middle + text[text.index(END, start) :], encoding="utf-8")


def table(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first row is the head."""
    for place, row in enumerate(cells):
        yield f"| {' | '.join(row)} |"
        if place == 0:
            yield f"|---|{'--:|' * (len(row) - 1)}"
