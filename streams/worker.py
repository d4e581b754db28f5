"""A process that works: dramatiq's worker over our broker, in this process, until TERM.

One loop thread carries the async actors and the pool of Postgres connections; the main thread waits for signals. On
TERM nothing new is taken, running work is interrupted at its next safe point and handed back, and the process leaves.
A loop that stands still ends the process: its work goes on elsewhere.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable

import dramatiq
import structlog

from schema.errors import PipelineError
from schema.record.refusals import Refusals
from schema.settings.environment import read, secrets
from schema.telemetry import logs
from streams import figures, hangs
from streams.broker import Delivered, StreamsBroker
from streams.middleware import LoopThread
from streams.process import Process, say
from streams.transport.port import Entry, Publication, Subscription

_log = structlog.get_logger(__name__)
_DRAIN_MS = 10_000
#: How often an idle thread looks whether it should end.
_WAKE_MS = 1_000

Handler = Callable[[Delivered], Awaitable[tuple[Publication, ...]]]


def main(
    name: str, subscription: Subscription, prepare: Callable[[Process], Handler], *, threads: int, gated: bool = True
) -> int:
    """Run the one actor of this process; `prepare` makes it once the record is open. Returns the exit code.

    `threads` deliveries are worked on at once. An actor that is not `gated` also works during a halt.
    """
    logs.configure(name)
    try:
        settings = read()
        logs.hide(secrets(settings))
        process = Process(name, settings)
        loop_thread = LoopThread()
        loop_thread.loop.set_default_executor(hangs.CountingExecutor(thread_name_prefix="work"))
        loop_thread.start()
        try:
            return _work(process, loop_thread, subscription, prepare, threads=threads, gated=gated)
        finally:
            loop_thread.run_coroutine(process.close())
            loop_thread.stop()  # type: ignore[no-untyped-call] # dramatiq types its threads in part
            process.transport.close()
    except PipelineError as error:
        say(error)
        return 1


def _work(
    process: Process,
    loop_thread: LoopThread,
    subscription: Subscription,
    prepare: Callable[[Process], Handler],
    *,
    threads: int,
    gated: bool,
) -> int:
    told = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: told.set())
    opening = asyncio.run_coroutine_threadsafe(process.open(), loop_thread.loop)
    while not opening.done():
        if told.wait(0.05):
            opening.cancel()
            return 0
    opening.result()
    beating = asyncio.run_coroutine_threadsafe(hangs.beat(process.settings.limits.hang_grace_s), loop_thread.loop)
    servers = process.settings.servers
    broker = StreamsBroker(
        process.transport,
        {subscription.group: subscription},
        budget=threads,
        gate=process.gate if gated else None,
        lease_s=servers.lease_s,
        block_s=servers.block_s,
        loop_thread=loop_thread,
        tally=figures.Tally(),
        turned=process.watchdog.consumed,
        in_touch=lambda: process.postgres.away_for_s() <= servers.lease_s,
        buried=lambda entry, error, hint: loop_thread.run_coroutine(_note_dead(process, entry, error, hint)),
    )
    handler = prepare(process)

    # no limit of dramatiq's: a stage has its own, which does not run while the work is held
    @dramatiq.actor(broker=broker, actor_name=process.name, queue_name=subscription.group, time_limit=float("inf"))
    async def deliver(delivered: Delivered) -> tuple[Publication, ...]:
        return await handler(delivered)

    worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=_WAKE_MS)
    worker.start()
    process.serve_metrics()
    told.wait()
    process.gate.stop()
    worker.stop(timeout=_DRAIN_MS)
    broker.close()
    beating.cancel()
    return 0


async def _note_dead(process: Process, entry: Entry, error: str, hint: str) -> None:
    """What the broker gives up on has its row before it has its letter."""
    await Refusals(process.postgres).note(
        "dead", stream=entry.origin_stream, entry_id=entry.origin_id, error=error, hint=hint
    )
