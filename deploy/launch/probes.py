"""Asks a server on this machine whether it answers: Valkey, Postgres, a process's exporter.

Plain sockets, since nothing but the bus may know Redis and nothing but the record may know Postgres. A probe never
raises and never takes longer than a moment: what does not answer is not ready.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

_HOST = "127.0.0.1"
_ALL_ADDRESSES = ("", "0.0.0.0", "::")  # noqa: S104 - recognised, not listened on
_TIMEOUT_S = 1.0
_POLL_S = 0.05
#: Protocol 3.0 of Postgres, and the message kinds that mean "come in" and "not now".
_POSTGRES_PROTOCOL = 196608
_POSTGRES_READY, _POSTGRES_ERROR = b"Z", b"E"


async def ask(port: int, question: bytes, *, until: Callable[[bytes], bool], host: str = _HOST) -> bytes:
    """Send `question` to a port; returns what came back until `until` was content, or nothing came."""
    answer = b""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(question)
                while not until(answer) and (chunk := await reader.read(4096)):
                    answer += chunk
            finally:
                writer.close()
    except (OSError, TimeoutError):
        pass  # not there, or not in time: the answer so far tells
    return answer


async def valkey_answers(port: int) -> bool:
    """Whether a Redis or Valkey takes commands there; one that still loads its data does not."""
    return (await ask(port, b"PING\r\n", until=lambda answer: answer.endswith(b"\r\n"))).startswith(b"+PONG")


async def postgres_answers(port: int, user: str) -> bool:
    """Whether a Postgres lets `user` into the database `postgres` without a password."""
    body = struct.pack("!i", _POSTGRES_PROTOCOL) + f"user\0{user}\0database\0postgres\0\0".encode()
    startup = struct.pack("!i", len(body) + 4) + body
    goodbye = b"X\0\0\0\x04"
    return _POSTGRES_READY in _kinds(await ask(port, startup + goodbye, until=_postgres_has_decided))


def _postgres_has_decided(answer: bytes) -> bool:
    kinds = _kinds(answer)
    return _POSTGRES_READY in kinds or _POSTGRES_ERROR in kinds


def _kinds(answer: bytes) -> set[bytes]:
    """The kinds of the whole messages in `answer`: one byte of kind, four of length, the rest."""
    kinds, at = set(), 0
    while at + 5 <= len(answer):
        kinds.add(answer[at : at + 1])
        at += 1 + int(struct.unpack_from("!i", answer, at + 1)[0])
    return kinds


async def exporter_answers(port: int, host: str = _HOST) -> bool:
    """Whether a process shows its metrics there; a host that means all addresses is asked at this one."""
    host = _HOST if host in _ALL_ADDRESSES else host
    question = b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n"
    answer = await ask(port, question, until=lambda answer: b"\r\n" in answer, host=host)
    return answer.startswith((b"HTTP/1.0 200", b"HTTP/1.1 200"))


async def until_it(answers: Callable[[], Awaitable[bool]], *, timeout_s: float | None = None) -> None:
    """Wait until a probe says yes; raises TimeoutError after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not await answers():  # noqa: ASYNC110 - another process's readiness has no event to wait for
            await asyncio.sleep(_POLL_S)
