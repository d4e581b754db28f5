"""The gate of one process: shut by the stream within milliseconds, opened by the record alone; and the modes in force.

A thread follows stream:control from where the record has applied it; a task asks the record twice a second, Redis or no
Redis. The gate opens when the record holds nothing and its cursor has passed every shutting command seen here. One that
was lost with Redis before the control actor came to it is said again: else no cursor would ever pass it, and nobody
would know why this process stands still.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

import structlog

from schema.events import command as commands
from schema.record.gate import GateRecord, Order, Truth, position
from streams import names
from streams.gate import Gate
from streams.observer import Observer
from streams.publish import publish
from streams.transport.port import BusClosedError, BusUnavailableError, Entry, Transport

#: A halt given without Redis shall hold within a second and a half, and the command itself takes most of one to start.
_POLL_S, _EAGER_POLL_S, _EAGER_S = 0.5, 0.05, 1.0
#: How long a command that is said again waits for Redis, until the next look.
_PATIENCE_S = 1.0
_log = structlog.get_logger(__name__)


class GateKeeper:
    """Keeps a process's gate in step with stream and record until `stop`."""

    def __init__(self, gate: Gate, record: GateRecord, transport: Transport, *, block_s: float) -> None:
        self._gate, self._record, self._transport, self._block_s = gate, record, transport, block_s
        self._last_shut = self._last_seen = "0-0"
        #: What shut the gate here and is not known to be recorded.
        self._unrecorded: Entry | None = None
        self._generation = 0
        self._orders: tuple[Order, ...] = ()
        self._said = asyncio.Event()
        self._lock = threading.Lock()
        self._observer: Observer | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the record, then the stream from there on: halted from the first moment, if either says so."""
        self._loop = asyncio.get_running_loop()
        truth = await self._record.read()
        self._generation = truth.generation
        self._obey(truth)
        place = {names.CONTROL: truth.cursor}
        for entry in await asyncio.to_thread(self._transport.observe, place, 0.0):
            self._saw(entry)  # what the control actor has not come to yet; the observer sees it once more
        self._observer = Observer(self._transport, (names.CONTROL,), place, block_s=self._block_s)
        threading.Thread(target=self._follow, args=(self._observer,), name="gate", daemon=True).start()
        self._task = asyncio.create_task(self._poll())

    @property
    def orders(self) -> tuple[Order, ...]:
        """The modes and throttles in force, as the record had them a moment ago."""
        return self._orders

    async def stop(self) -> None:
        """Stop following; the gate stays as it is."""
        if self._observer is not None:
            self._observer.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _follow(self, observer: Observer) -> None:
        while not observer.stopped:
            for entry in observer.read():
                self._saw(entry)

    def _saw(self, entry: Entry) -> None:
        halts = commands.says_halt(entry.fields)
        if not halts and entry.fields.get(b"type") != b"pause":
            self._last_seen = entry.id
            with contextlib.suppress(RuntimeError):  # the process has ended while we read
                self._loop.call_soon_threadsafe(self._said.set)
            return
        with self._lock:
            self._last_shut, self._unrecorded = entry.id, entry
            if halts:
                self._gate.set("halted")
            elif self._gate.state == "open":
                self._gate.set("paused")
        _log.info("gate.shut", by_entry=entry.id, state=self._gate.state)

    async def _poll(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:  # noqa: BLE001 - whatever it was, a gate that follows no more is worse
                _log.exception("gate.unread", hint="the gate stays as it is until the record can be read")
                await asyncio.sleep(_POLL_S)

    async def _look(self) -> None:
        self._obey(await self._record.read())
        await self._say_again()
        try:
            await asyncio.wait_for(self._said.wait(), _POLL_S)
        except TimeoutError:
            return
        self._said.clear()
        for _ in range(int(_EAGER_S / _EAGER_POLL_S)):  # the control actor is committing it right now
            truth = await self._record.read()
            self._obey(truth)
            if position(truth.cursor) >= position(self._last_seen):
                break
            await asyncio.sleep(_EAGER_POLL_S)

    async def _say_again(self) -> None:
        """Say what shut this gate once more, where its stream has lost it and the record never had it."""
        shut = self._unrecorded
        if shut is None:
            return
        try:
            newest = await asyncio.to_thread(self._transport.last_generated_id, names.CONTROL, wait_s=0.0)
            if newest is not None and position(newest) >= position(shut.id):
                return  # the control actor will come to it
            again = await asyncio.to_thread(
                publish, self._transport, names.CONTROL, shut.fields, token=f"again {shut.id}", wait_s=_PATIENCE_S
            )
        except (BusUnavailableError, BusClosedError):
            return
        _log.warning("gate.said_again", entry=shut.id, now=again)
        with self._lock:
            if self._last_shut == shut.id:  # else another one has shut it meanwhile
                self._last_shut, self._unrecorded = again, None

    def _obey(self, truth: Truth) -> None:
        self._orders = truth.orders
        with self._lock:
            if truth.generation != self._generation:
                self._generation, self._last_shut, self._last_seen = truth.generation, "0-0", "0-0"
            passed = position(truth.cursor) >= position(self._last_shut)
            if passed:
                self._unrecorded = None
            if truth.state != "open" and passed:
                self._gate.set(truth.state)
            elif truth.state == "halted":
                self._gate.set("halted")
            elif truth.state == "open" and passed and self._gate.state in ("paused", "halted"):
                self._gate.set("open")
                _log.info("gate.open")
