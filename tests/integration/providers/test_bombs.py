"""Answers that would fill the memory: without an end, or small until they are unpacked; by every paid provider."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest

from actors.providers.audio import elevenlabs, google
from schema.errors import UnknownOutcomeError
from schema.settings.providers import Providers
from tests.fakes.orders import ORDERS, bought
from tests.fakes.wire import KEYS

_MOST = 1 << 20
_UNPACKED = 160 << 20


@cache
def _bomb() -> bytes:
    """A hundred and sixty megabytes of blanks, hundreds of times smaller on the wire."""
    packer, blanks = zlib.compressobj(1, wbits=31), b" " * (8 << 20)
    return b"".join(packer.compress(blanks) for _ in range(_UNPACKED // len(blanks))) + packer.flush()


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
            await writer.drain()
    writer.close()


async def _packed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    bomb = await asyncio.to_thread(_bomb)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}"
    writer.write(f"{head}\r\n\r\n".encode() + bomb)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    writer.close()


@asynccontextmanager
async def _served(kind: str) -> AsyncIterator[str]:
    async with await asyncio.start_server({"endless": _endless, "packed": _packed}[kind], "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("kind", ["endless", "packed"])
@pytest.mark.parametrize("provider", ORDERS)
async def test_an_answer_that_would_fill_the_memory_is_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_certificate: Path, provider: str, kind: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(one_certificate))
    for module in (elevenlabs, google):
        monkeypatch.setattr(module, "SPEECH_MAX_BYTES", _MOST)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with _served(kind) as address:
        urls = {f"{name}_base_url": address for name in ORDERS}
        settings = Providers(**{f"{name}_api_key": key for name, key in KEYS.items()}, **urls)  # type: ignore[arg-type]
        with pytest.raises(UnknownOutcomeError, match="broke"):
            await bought(provider, settings).call(tmp_path)
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) >> 10
    assert grown_mib < 120, f"{grown_mib} MiB"
