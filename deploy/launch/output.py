"""What the children say: each line with its process's name, on the screen and in one log file.

A screen that goes away or a disk that is full loses lines, never the factory. The log is turned over at a bound, and
one older part is kept.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Self

#: The log file is turned over at this size.
_LOG_MAX_BYTES = 64 << 20
#: A line longer than this is broken.
LINE_MAX_BYTES = 1 << 16


class Output:
    """One log file, and standard output unless `echo` is false."""

    def __init__(self, log: Path, *, echo: bool, name_width: int = 9) -> None:
        """Open the log for appending."""
        self._path, self._echo, self._width = log, echo, name_width
        log.parent.mkdir(parents=True, exist_ok=True)
        self._file = log.open("ab", buffering=0)
        self._size_bytes = self._file.tell()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the log."""
        self._file.close()

    def line(self, name: str, text: str) -> None:
        """Write one line that `name` said."""
        whole = f"{name:<{self._width}} | {text}\n"
        if self._echo:
            try:
                sys.stdout.write(whole)
                sys.stdout.flush()
            except (OSError, ValueError):
                self._echo = False  # nobody reads any more
        with contextlib.suppress(OSError):  # a full disk: the line is lost
            self._log(whole.encode("utf-8", errors="replace"))

    def _log(self, line: bytes) -> None:
        if self._size_bytes + len(line) > _LOG_MAX_BYTES:
            self._file.close()
            self._path.replace(self._path.with_suffix(".1.log"))
            self._file = self._path.open("ab", buffering=0)
            self._size_bytes = 0
        self._size_bytes += self._file.write(line)
