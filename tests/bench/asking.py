"""A client that costs next to nothing: what asks shares the machine with what is measured.

It speaks as much of HTTP/1.1 as the gateway answers to a plain question: a status, and a body of a known length.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import Final

_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_PIECE_BYTES: Final = 1 << 16
_Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Asker:
    """Connections to one port, each with one question at a time; more are made as they are needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[_Wire] = deque()
        self._all: list[asyncio.StreamWriter] = []

    async def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and body of the answer; with a body of its own it is a POST. Raises OSError and EOFError."""
        wire = self._idle.pop() if self._idle else await self._connect()
        reader, writer = wire
        said = {name.replace("_", "-"): text for name, text in headers.items()}
        if body is not None:
            said["content-length"] = str(len(body))
        lines = "".join(f"{name}: {text}\r\n" for name, text in said.items())
        method = "GET" if body is None else "POST"
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode() + (body or b""))
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        answer = await reader.readexactly(int(length[1])) if length else b""
        self._idle.append(wire)
        return int(head.split(b" ", 2)[1]), answer

    async def count(self, path: str, what: bytes, seen: list[int]) -> None:
        """Listen until cancelled, and add to `seen` how often `what` came; across two pieces it is not seen."""
        reader, writer = await self._connect()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while piece := await reader.read(_PIECE_BYTES):
            seen.append(piece.count(what))

    async def _connect(self) -> _Wire:
        wire = await asyncio.open_connection("127.0.0.1", self._port)
        self._all.append(wire[1])
        return wire

    def close(self) -> None:
        """Hang up."""
        for writer in self._all:
            writer.close()
