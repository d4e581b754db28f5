"""Puts a run into a page: what stands between two marks gives way to the tables of this run, in Markdown.

Only a run of everything belongs there; whoever asks for less gets less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.bench import page
from tests.bench.table import Row, number

BEGIN: Final = "<!-- from here on: ./ytempire bench render --page docs/render.md -->"


def put(path: Path, rows: Sequence[Row], contestants: Sequence[Sequence[str]], notes: Sequence[str]) -> None:
    """Replace what stands between the marks."""
    page.put(path, BEGIN, (*page.table(contestants), "", *_judged(rows), "", *notes))


def _judged(rows: Sequence[Row]) -> Iterator[str]:
    head = ("what", "goal", "figure", "")
    body = [
        (row.row, row.goal or "", f"{number(row.value)} {row.unit}".strip(), _said(row)) for row in rows if row.goal
    ]
    yield from page.table((head, *body))


def _said(row: Row) -> str:
    return "; ".join(filter(None, ("ok" if row.ok else "**missed**", row.note.replace("|", "/"))))
