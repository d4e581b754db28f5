"""A file that is asked for no more than it has.

Formats say how long their parts are, and whoever reads one asks for as much; Python makes room for all of that before
it looks how much there is, so four bytes of a picture could ask for four gigabytes.
"""

from __future__ import annotations

import io
import os
from pathlib import Path


class Sized(io.BufferedReader):
    """A file opened for reading, by the size that it had then."""

    def __init__(self, path: str | Path) -> None:
        """Raises OSError as `open` does."""
        super().__init__(io.FileIO(path))
        self._size_bytes = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, `size` at most."""
        left = max(0, self._size_bytes - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))
