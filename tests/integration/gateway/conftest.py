"""The gateway as its process runs it, on a port of its own, and a client that asks it over a socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from msgspec.structs import replace

from actors.intake import Intake
from deploy.gateway import serving
from deploy.gateway.parts import Parts
from deploy.launch import probes
from deploy.launch.ports import free_ports
from schema.settings.limits import Limits
from streams import names
from streams.broker import Delivered
from streams.process import Process
from streams.transport.port import Settlement
from tests.integration.gateway.wires import Wire
from tests.integration.processes import Processes, running, until

#: As many as there are lines in the Procfile: nobody shall listen where exporters are looked for.
_EXPORTERS = 20
TOKEN = "a-token-of-this-test"  # noqa: S105 - it opens nothing but a test


class Gateway:
    """A running gateway; `ask` is a client on its address."""

    def __init__(self, parts: Parts, ask: httpx.AsyncClient, *, redis: Wire, postgres: Wire) -> None:
        self.parts, self.process, self.live, self.ask = parts, parts.process, parts.live, ask
        #: The ways from the gateway to its servers.
        self.redis, self.postgres = redis, postgres

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.process.settings.servers.gateway_port

    async def raw(self, sent: bytes, *, within_s: float = 1.0) -> bytes:
        """What comes back for these very bytes until the gateway closes, or for a second."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        said = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(within_s):
                while piece := await reader.read(65_536):
                    said += piece
        writer.close()
        return said

    async def raw_status(self, method: str, path: str, headers: dict[str, str]) -> int:
        """The status for a path that no client makes right before it is sent."""
        lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
        sent = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n"
        return int((await self.raw(sent.encode())).split(b" ", 2)[1])

    async def submit(self, key: str = "k", **fields: str) -> str:
        """A video that was asked for; its name."""
        said = {"topic": "Rivers", "notes": "Rivers carry water to the sea.", **fields}
        answer = await self.ask.post("/videos", json=said, headers={"idempotency-key": key})
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["video"])


@asynccontextmanager
async def gateway_of(
    redis_url: str, database_url: str, folder: Path, limits: Limits | None = None
) -> AsyncIterator[Gateway]:
    """A gateway on these servers, with an intake beside it that no wire of the gateway's leads to."""
    redis, postgres = urlsplit(redis_url), urlsplit(database_url)
    assert redis.port is not None
    assert postgres.port is not None
    made, port = Processes(redis_url, database_url, folder), free_ports(_EXPORTERS + 4)
    intake = await made("intake", limits=limits)
    async with Wire(redis.port) as redis_wire, Wire(postgres.port) as postgres_wire:
        servers = replace(
            made.servers,
            redis_url=redis_url.replace(f":{redis.port}", f":{redis_wire.port}"),
            database_url=database_url.replace(f":{postgres.port}", f":{postgres_wire.port}"),
            gateway_port=port,
            gateway_token=TOKEN,
            prometheus_port=port + 1,
            grafana_port=port + 2,
            n8n_port=port + 3,
            metrics_port=port + 4 + _EXPORTERS - 1,
        )
        process = await made("gateway", servers=servers, limits=limits)
        parts = Parts(process)
        address = f"http://127.0.0.1:{port}"
        serves = asyncio.ensure_future(serving.serve(parts))
        async with (
            running(_intake(intake)),
            running(serves),
            httpx.AsyncClient(base_url=address, timeout=20, trust_env=False) as client,
        ):
            await until(lambda: _answers(serves, port))
            yield Gateway(parts, client, redis=redis_wire, postgres=postgres_wire)
        await made.close()


async def _answers(serves: asyncio.Future[None], port: int) -> bool:
    if serves.done():
        serves.result()  # what it ended with
    question = b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n"
    return (await probes.ask(port, question, until=lambda said: b"\r\n" in said)).startswith(b"HTTP/1.1 200")


async def _intake(process: Process) -> None:
    """Does what the worker of stream:intake does, where nothing goes wrong."""
    act, transport = Intake(process), process.transport
    await asyncio.to_thread(transport.ensure_groups, names.INTAKE_SUBSCRIPTION)
    while True:
        for entry in await asyncio.to_thread(transport.read, names.INTAKE_SUBSCRIPTION, 8, 0.1):
            await act(Delivered(entry, transport.consumer))
            await asyncio.to_thread(transport.settle, (Settlement(entry),))


@pytest.fixture
async def gateway(valkey_url: str, database_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway on an empty bus and a fresh record."""
    async with gateway_of(valkey_url, database_url, tmp_path) as made:
        yield made
