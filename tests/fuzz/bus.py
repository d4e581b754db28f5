"""Entries through everything: a real Valkey, the actors, a real Postgres, and the receipt that their sender waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from hypothesis import strategies as st

from actors import control
from deploy.launch import postgres, valkey
from deploy.launch.ports import free_ports
from deploy.launch.program import running as program
from schema.errors import RefusedError
from schema.record.migrations import migrate
from streams import names, receipts
from streams.middleware import LoopThread
from tests.fuzz import events
from tests.fuzz.judging import Tally, TooSlow, judged
from tests.integration.gateway.conftest import _intake
from tests.integration.processes import Processes
from tests.integration.streams.workers import Server

BATCH: Final = 50
_PATIENCE_S: Final = 10.0
Sent = tuple[str, events.Raw]


@contextmanager
def servers(folder: Path) -> Iterator[tuple[str, str]]:
    """A Valkey and a Postgres with the record in it: their addresses."""
    first = free_ports(2)
    redis = valkey.valkey(folder / "valkey", first, actor_password="of-this-run")  # noqa: S106 - opens nothing else
    record = postgres.postgres(folder / "postgres", first + 1, durable=False)
    with program(redis, folder / "valkey.log"), program(record, folder / "postgres.log"):
        url = postgres.url(first + 1, "ytempire")
        asyncio.run(migrate(url))
        yield valkey.url(first), url


class Bus:
    """Intake and control at work in a loop of another thread."""

    def __init__(self, made: Processes) -> None:
        self._made = made
        self._works: list[asyncio.Future[None]] = []

    async def open(self) -> None:
        """Start them."""
        self._intake, processes = await self._made("intake"), await self._made("control")
        self._client: Server = self._intake.transport._connection.commands
        self._works = [asyncio.ensure_future(work) for work in (_intake(self._intake), control.run(processes))]

    async def close(self) -> None:
        """End them."""
        for work in self._works:
            work.cancel()
        await asyncio.wait(self._works)
        await self._made.close()

    def send(self, sent: Sent) -> None:
        """Send an entry as a stranger does, and wait for what is said to it."""
        stream, raw = sent
        entry = self._client.xadd(stream, raw or {b"": b""}).decode()
        key = names.receipt_key(entry) if stream == names.INTAKE else names.control_receipt_key(entry)
        receipt = receipts.wait(self._intake.transport, key, _PATIENCE_S)
        if receipt is None:
            for work in self._works:
                assert not work.done(), f"an actor has ended: {work.exception()!r}"
            raise TooSlow
        if receipt["status"] == "rejected":
            raise RefusedError(receipt["error"], hint=receipt["hint"])

    def play(self, seed: int, number: int, tally: Tally, *, alarm: bool, count: int = BATCH) -> None:  # noqa: ARG002 - waits itself
        """Judge one batch."""
        strategy = st.one_of(
            events.ENTRIES["intake"].map(lambda raw: (names.INTAKE, raw)),
            events.ENTRIES["control"].map(lambda raw: (names.CONTROL, raw)),
        )
        judge = partial(judged, limit_s=_PATIENCE_S, needs_hint=True)
        events.drawn(strategy, self.send, judge, f"bus {seed} {number}", number, tally, count)


@contextmanager
def bus(folder: Path, addresses: tuple[str, str] | None = None) -> Iterator[Bus]:
    """One that works, on servers of its own where none are named."""
    if addresses is None:
        with servers(folder) as made, bus(folder, made) as one:
            yield one
        return
    with looping() as loop:
        one = Bus(Processes(*addresses, folder))
        loop.run_coroutine(one.open())
        try:
            yield one
        finally:
            loop.run_coroutine(one.close())


@contextmanager
def looping() -> Iterator[LoopThread]:
    """A loop in a thread of its own, in which servers run, saying nothing, while this one asks."""
    thread, said = LoopThread(), structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()  # type: ignore[no-untyped-call] # dramatiq types its threads in part
        structlog.configure(**said)
