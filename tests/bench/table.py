"""What a bench shows: figures beside their goals, as a table, as JSON, and as an exit code.

A goal counts as reached only by a figure: what could not be measured has missed it, and its row says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

_MARKS: Final = {True: "ok", False: "MISSED", None: ""}


class Goal(msgspec.Struct, frozen=True):
    """A bound, included."""

    sense: Literal["<=", ">=", "="]
    bound: float

    def reached(self, value: float) -> bool:
        """Whether the value is on the right side."""
        if self.sense == "<=":
            return value <= self.bound
        return value >= self.bound if self.sense == ">=" else value == self.bound

    def __str__(self) -> str:
        """As it is printed and written."""
        return f"{self.sense} {self.bound:g}"


class Row(msgspec.Struct, frozen=True):
    """One line of the table."""

    #: What was measured, and what it is compared with.
    row: str
    #: None: it could not be measured.
    value: float | None
    unit: str
    goal: str | None = None
    #: None where there is no goal.
    ok: bool | None = None
    #: What peers reached in the same run; text where a figure would be wrong, as "> 20".
    peers: Mapping[str, float | str] = {}
    #: What one must know to read it, or why there is no figure.
    note: str = ""


def row(
    name: str,
    value: float | None,
    unit: str,
    goal: Goal | None = None,
    *,
    peers: Mapping[str, float | str] | None = None,
    note: str = "",
) -> Row:
    """A row, judged."""
    reached = None if goal is None else value is not None and goal.reached(value)
    return Row(name, value, unit, str(goal) if goal else None, reached, peers or {}, note)


def exit_code(rows: Iterable[Row]) -> int:
    """1 when a goal was missed."""
    return int(any(row.ok is False for row in rows))


def write_json(rows: Sequence[Row], path: Path) -> None:
    """A list of rows; replaces the file."""
    listed = [_written(row) for row in rows]
    path.write_bytes(msgspec.json.format(msgspec.json.encode(listed), indent=2) + b"\n")


def _written(row: Row) -> dict[str, Any]:
    """Peers and note only where there are any."""
    written: dict[str, Any] = msgspec.to_builtins(row)
    return {name: value for name, value in written.items() if value or name not in ("peers", "note")}


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """The rows with a goal; the others are in the peers' own table."""
    judged = [row for row in rows if row.goal is not None]
    yield from columns(
        ("", "figure", "goal", ""),
        [(row.row, _figure(row), row.goal or "", _MARKS[row.ok]) for row in judged],
    )
    for row in judged:
        peers = ", ".join(f"{name} {number(value)}" for name, value in row.peers.items())
        if peers or row.note:
            yield f"  {row.row}: {'; '.join(filter(None, (peers, row.note)))}"


def _figure(row: Row) -> str:
    return number(row.value) if row.value is None else f"{number(row.value)} {row.unit}"


def columns(head: Sequence[str], body: Sequence[Sequence[str]]) -> Iterator[str]:
    """Aligned text: the first column to the left, the others to the right."""
    widths = [max(len(cells[at]) for cells in (head, *body)) for at in range(len(head))]
    for cells in (head, *body):
        yield "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()


def number(value: float | str | None) -> str:
    """Three significant digits, whole from a hundred on; a dash for what is not there."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
