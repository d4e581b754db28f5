"""What the fakes were asked and would have billed: JSON lines, appended and on disk before an answer begins.

Kept by the fakes' own process, so it is evidence of its own: nothing that the factory believes gets in.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec


class Line(msgspec.Struct, frozen=True):
    """One request; `billed` by unit as in the price table, empty when nothing was billed."""

    number: int
    at: datetime
    provider: str
    path: str
    #: The id of the reservation, as X-Client-Request-Id carried it; empty when none came.
    reservation: str
    #: SHA-256 of what was asked for.
    input: str
    model: str
    #: The status of the answer, 0 where none was given.
    status: int
    #: `answered`, or the fault.
    outcome: str
    billed: dict[str, int]


class Ledger:
    """Appends to one file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._number = 0

    def append(
        self, *, provider: str, path: str, reservation: str, input_sha256: str, model: str, status: int, outcome: str,
        billed: dict[str, int],
    ) -> None:  # fmt: skip
        """Keep one request."""
        self._number += 1
        line = Line(
            self._number, datetime.now(UTC), provider, path, reservation, input_sha256, model, status, outcome, billed
        )
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read(path: Path) -> list[Line]:
    """Every complete line of a ledger."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [msgspec.json.decode(line, type=Line) for line in lines]
