"""One part of a film's pictures: whole groups of pictures on the disk as soon as they are encoded.

A part is a fragmented MP4, and beside it a list of marks: how many frames and bytes lie before a place from which
playing can begin, and the checksum of those bytes. Guarantees that what lies before a good mark is what was encoded,
whenever its writer was killed and whatever became of the file since; what lies behind the last one is not believed.
A part has one writer and is never written again. It cannot tell a good picture from a bad one.
"""

from __future__ import annotations

import os
import uuid
import zlib
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Final

import msgspec

from schema.errors import RetryableError

#: How av.open writes one: each group of pictures a fragment of its own, handed to the disk at once.
FORMAT: Final = "mp4"
OPTIONS: Final = {"movflags": "frag_keyframe+empty_moov+default_base_moof+skip_trailer", "flush_packets": "1"}
_CHUNK_BYTES: Final = 1 << 20


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A place in a part in front of which everything is whole."""

    frames: int
    size_bytes: int
    crc32: int
    #: Shots that were found flat up to here; see plan.py.
    flat_shots: tuple[int, ...] = ()


class Part:
    """A part that is written, or was: a file as av.open takes it, that counts and remembers what went into it."""

    def __init__(self, folder: Path, first: int) -> None:
        """A new part, of the frames from `first` on, under a name that no other attempt has.

        Raises RetryableError when the disk has no room for it.
        """
        self.first, self.size_bytes, self._crc32 = first, 0, 0
        self.marks: list[Mark] = []
        #: Why it takes no more; av.open, which writes here, does not always pass on what it was told.
        self.error: RetryableError | None = None
        self.path = folder / f"{first:07d}-{uuid.uuid4().hex[:8]}.mp4"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Open to be read, too: it can be copied from though another attempt has tidied up.
            self._file = self.path.open("x+b", buffering=0)
            self._list = self.path.with_suffix(".marks").open("xb", buffering=0)
        except OSError as error:
            raise _full(self.path, error) from error

    def write(self, data: bytes) -> int:
        """Append; after an error, nothing more. Raises RetryableError when the disk has no room."""
        if self.error is not None:
            return len(data)
        try:
            _append(self._file, data, self.path)
        except RetryableError as error:
            self.error = error
            raise
        self.size_bytes += len(data)
        self._crc32 = zlib.crc32(data, self._crc32)
        return len(data)

    def mark(self, frames: int, flat_shots: tuple[int, ...] = ()) -> None:
        """All that was written so far holds this many frames, whole. Raises RetryableError where it does not."""
        if self.error is not None:
            raise self.error
        mark = Mark(frames, self.size_bytes, self._crc32, flat_shots)
        self.marks.append(mark)
        _append(self._list, msgspec.json.encode(mark) + b"\n", self.path)

    def prefix(self, mark: Mark) -> Prefix:
        """What lies before the mark, to be read."""
        return Prefix(self._file.fileno(), mark.size_bytes)

    def close(self) -> None:
        """Let go of its files."""
        self._file.close()
        self._list.close()


class FoundPart:
    """A part that another attempt left, or still writes; only its good marks are listed."""

    def __init__(self, path: Path) -> None:
        """Read and check it; no marks are left where nothing in it is whole. Raises OSError or ValueError: no part."""
        self.path, self.first = path, int(path.name.partition("-")[0])
        self._file = path.open("rb", buffering=0)
        try:
            self.marks = list(_good(self._file.fileno(), path.with_suffix(".marks").read_bytes()))
        except BaseException:
            self._file.close()
            raise

    def prefix(self, mark: Mark) -> Prefix:
        """What lies before the mark, to be read."""
        return Prefix(self._file.fileno(), mark.size_bytes)

    def close(self) -> None:
        """Let go of its file."""
        self._file.close()


class Prefix:
    """The first bytes of an open file, as a file that ends there; as many may be read at once as are wanted."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        self._descriptor, self._size, self._at = descriptor, size_bytes, 0

    def read(self, count: int = -1) -> bytes:
        """The next bytes; none at the end."""
        left = self._size - self._at
        data = os.pread(self._descriptor, left if count < 0 else min(count, left), self._at) if left > 0 else b""
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Where reading goes on."""
        return self._at


def _good(descriptor: int, listed: bytes) -> Iterator[Mark]:
    """The marks up to the first that does not fit: a line cut off, bytes that are not there or are not the same."""
    crc32, before = 0, Mark(0, 0, 0)
    for line in listed.split(b"\n")[:-1]:
        try:
            mark = msgspec.json.decode(line, type=Mark)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if mark.frames <= before.frames or mark.size_bytes <= before.size_bytes:
            return
        between = Prefix(descriptor, mark.size_bytes)
        between.seek(before.size_bytes)
        while data := between.read(_CHUNK_BYTES):
            crc32 = zlib.crc32(data, crc32)
        if between.tell() != mark.size_bytes or crc32 != mark.crc32:
            return
        yield mark
        before = mark


def _append(file: FileIO, data: bytes, path: Path) -> None:
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise _full(path, error) from error


def _full(path: Path, error: OSError) -> RetryableError:
    return RetryableError(
        f"the film's part {path.name} cannot be written: {error.strerror or error}",
        hint=f"make room in {path.parent}; what is encoded is kept and goes on",
    )
