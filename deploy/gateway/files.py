"""Files of finished videos, whole or in ranges, so that a player can seek.

Only what the record names is served, and only under the names it has there: nothing in a URL reaches the file system.
One range a request; more than one is answered with the whole file, which the standard allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Final

import msgspec

from schema.documents import ArtifactRef
from schema.errors import RefusedError
from schema.wire import shown

_CHUNK_BYTES: Final = 256 << 10
_RANGE: Final = re.compile(r"bytes=(?P<first>[0-9]{0,99})-(?P<last>[0-9]{0,99})", re.IGNORECASE)


class Span(msgspec.Struct, frozen=True):
    """Bytes from `first` up to, and with, `last`."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many."""
        return self.last - self.first + 1


class UnsatisfiableRangeError(RefusedError):
    """The range lies beyond the end of the file."""

    def __init__(self, asked: str, size_bytes: int) -> None:
        super().__init__(f"the range {shown(asked)!r} lies beyond the end: the file has {size_bytes} bytes")
        self.size_bytes = size_bytes


def span(asked: str, size: int) -> Span | None:
    """The part that a Range header asks for; None: the whole file.

    Raises UnsatisfiableRangeError where nothing of the range is there.
    """
    match = _RANGE.fullmatch(asked.strip().replace(" ", ""))
    if match is None or (not match["first"] and not match["last"]):
        return None
    if not match["first"]:
        first, last = max(0, size - int(match["last"])), size - 1
    else:
        first, last = int(match["first"]), min(int(match["last"] or size), size - 1)
    if match["last"] and match["first"] and int(match["last"]) < int(match["first"]):
        return None
    if first >= size or last < first:
        raise UnsatisfiableRangeError(asked, size)
    return Span(first, last)


def etag(ref: ArtifactRef) -> str:
    """Names these very bytes."""
    return f'"{ref.sha256[:32]}"'


def headers(ref: ArtifactRef, part: Span | None, *, kind: str, name: str, download: bool) -> dict[str, str]:
    """What goes with the bytes."""
    sent = {
        "content-type": kind,
        "accept-ranges": "bytes",
        "etag": etag(ref),
        "cache-control": "private, max-age=0, must-revalidate",
        "content-disposition": f'{"attachment" if download else "inline"}; filename="{name}"',
        "content-length": str(ref.size_bytes if part is None else part.size),
    }
    if part is not None:
        sent["content-range"] = f"bytes {part.first}-{part.last}/{ref.size_bytes}"
    return sent


def blocks(opened: IO[bytes], part: Span | None) -> Iterator[bytes]:
    """The bytes, a piece at a time; closes the file."""
    with opened as file:
        left = None
        if part is not None:
            file.seek(part.first)
            left = part.size
        while chunk := file.read(_CHUNK_BYTES if left is None else min(_CHUNK_BYTES, left)):
            yield chunk
            if left is not None and not (left := left - len(chunk)):
                return
