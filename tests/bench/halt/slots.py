"""Where watched processes note what happened: one memory-mapped file of 64-bit slots, a row of them a process.

A note costs less than a microsecond and wakes nobody. Times are of the clock that all processes of a machine share.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: The environment of a watched process: the file, and the number of its row.
FILE, ROW = "BENCH_HALT_SLOTS", "BENCH_HALT_ROW"
#: When its gate shut and when it opened; when the newest frame was encoded below it, and how many were.
SHUT, OPENED, FRAME, FRAMES = range(4)
_WIDTH: Final = 4
_BYTES: Final = 8


class Slots:
    """Rows of notes."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._slots = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")

    @classmethod
    def make(cls, path: Path, rows: int) -> Slots:
        """A new file with so many rows of zeros."""
        path.write_bytes(bytes(rows * _WIDTH * _BYTES))
        return cls(path)

    def note(self, row: int, slot: int, value: int) -> None:
        """Written by the process of this row, or a child of it."""
        self._slots[row * _WIDTH + slot] = value

    def read(self, row: int, slot: int) -> int:
        """Zero where nothing was noted yet."""
        return self._slots[row * _WIDTH + slot]

    def add(self, row: int, slot: int) -> None:
        """Counts one more; the rows of two processes are never the same."""
        self._slots[row * _WIDTH + slot] += 1


def watched(folder: Path, path: Path, row: int, root: Path) -> Mapping[str, str]:
    """What the environment of a process must say for it to be watched."""
    return {FILE: str(path), ROW: str(row), "PYTHONPATH": f"{folder}:{root}"}
