"""Replies of a Redis server, read from a stream and written the two ways of redis-cli: for people, and raw.

Second protocol only. What a reply means is not known here, only its kind.
"""

from __future__ import annotations

from typing import BinaryIO

import msgspec

_ESCAPES = {ord("\\"): b"\\\\", ord('"'): b'\\"', 10: b"\\n", 13: b"\\r", 9: b"\\t", 7: b"\\a", 8: b"\\b"}
_PRINTABLE = range(32, 127)


class Status(msgspec.Struct, frozen=True):
    """A short word such as OK."""

    text: str


class ServerError(msgspec.Struct, frozen=True):
    """The server refused."""

    text: str


Reply = Status | ServerError | int | bytes | None | list["Reply"]


def parse(stream: BinaryIO) -> Reply:
    """The next reply.

    Raises EOFError when the server hangs up, ValueError when it speaks something else.
    """
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError("Server closed the connection")
    kind, rest = line[:1], line[1:-2]
    match kind:
        case b"+":
            return Status(rest.decode(errors="replace"))
        case b"-":
            return ServerError(rest.decode(errors="replace"))
        case b":":
            return int(rest)
        case b"$":
            return _bulk(stream, int(rest))
        case b"*":
            return None if int(rest) < 0 else [parse(stream) for _ in range(int(rest))]
        case _:
            raise ValueError(f"this is no Redis: it answered {line[:40]!r}")


def _bulk(stream: BinaryIO, size_bytes: int) -> bytes | None:
    if size_bytes < 0:
        return None
    data = stream.read(size_bytes + 2)
    if len(data) != size_bytes + 2:
        raise EOFError("Server closed the connection")
    return data[:-2]


def raw(reply: Reply) -> bytes:
    """As it is, one element a line: for other programs."""
    match reply:
        case list():
            return b"\n".join(raw(item) for item in reply)
        case Status(text):
            return text.encode()
        case ServerError(text):
            return text.encode() + b"\n"
        case None:
            return b""
        case int():
            return str(reply).encode()
        case bytes():
            return reply


def shown(reply: Reply, prefix: bytes = b"") -> bytes:
    """With kinds, quotes and numbers: for people; ends with a newline."""
    if isinstance(reply, list) and reply:
        return b"".join(_numbered(reply, prefix))
    return _in_words(reply) + b"\n"


def _in_words(reply: Reply) -> bytes:
    match reply:
        case list():
            return b"(empty array)"
        case Status(text):
            return text.encode()
        case ServerError(text):
            return b"(error) " + text.encode()
        case None:
            return b"(nil)"
        case int():
            return b"(integer) %d" % reply
        case bytes():
            return _quoted(reply)


def _numbered(items: list[Reply], prefix: bytes) -> list[bytes]:
    width = len(str(len(items)))
    deeper = prefix + b" " * (width + 2)
    lines = []
    for number, item in enumerate(items, start=1):
        lead = b"" if number == 1 else prefix
        lines.append(lead + f"{number:{width}d}) ".encode() + shown(item, deeper))
    return lines


def _quoted(text: bytes) -> bytes:
    return b'"' + b"".join(_ESCAPES.get(byte) or _byte(byte) for byte in text) + b'"'


def _byte(byte: int) -> bytes:
    return bytes((byte,)) if byte in _PRINTABLE else b"\\x%02x" % byte
