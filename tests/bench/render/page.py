"""Puts a run into a page: what stands between two marks gives way to the tables of this run, in Markdown.

Only a run of everything belongs there; whoever asks for less gets less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from schema.errors import ConfigurationError
from tests.bench.table import Row, number

BEGIN: Final = "<!-- from here on: ./ytempire bench render --page docs/render.md -->"
END: Final = "<!-- up to here -->"


def check(path: Path) -> None:
    """Raises ConfigurationError for a page that has not both marks, in order: before hours are spent."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the page {path} cannot be read: {error}") from error
    if not 0 <= text.find(BEGIN) < text.find(END):
        raise ConfigurationError(f"the page {path} has no place for a run", hint=f"expected {BEGIN} and {END}")


def put(path: Path, rows: Sequence[Row], contestants: Sequence[Sequence[str]], notes: Sequence[str]) -> None:
    """Replace what stands between the marks."""
    text = path.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    middle = "\n".join(("", "", *_table(contestants), "", *_judged(rows), "", *notes, "", ""))
    path.write_text(before + middle + after, encoding="utf-8")


def _table(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first row is the head."""
    for place, row in enumerate(cells):
        yield f"| {' | '.join(row)} |"
        if place == 0:
            yield f"|---|{'--:|' * (len(row) - 1)}"


def _judged(rows: Sequence[Row]) -> Iterator[str]:
    head = ("what", "goal", "figure", "")
    body = [
        (row.row, row.goal or "", f"{number(row.value)} {row.unit}".strip(), _said(row)) for row in rows if row.goal
    ]
    yield from _table((head, *body))


def _said(row: Row) -> str:
    return "; ".join(filter(None, ("ok" if row.ok else "**missed**", row.note.replace("|", "/"))))
