"""Postgres restarts, takes nothing, has no room, falls silent; or is out of reach just after a call was sent (7 and 8).

What a call was sent for is paid, and who paid cannot say so: either it dies before it can, or it lives, and another
process has taken its work over meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

import asyncpg

from deploy.launch import postgres
from tests.faults.case import Case, Needs
from tests.faults.ground import Ground

_LASTS_S, _SILENT_S, _WITHIN_S, _LATE_S = 5.0, 8.0, 30.0, 0.2
#: What a statement that was cut off may hold others up, and as long as they may then take.
_LOCKED_S: Final = 60.0
#: How the others take connections: quicker than whoever waits for one with patience.
_TAKERS, _AT_ONCE_S, _LOOK_S = 8, 0.005, 0.1
_OURS = "FROM pg_stat_activity WHERE application_name LIKE 'ytempire %'"
_END_OURS = f"SELECT count(pg_terminate_backend(pid)) {_OURS}"
_IN_FLIGHT = """
SELECT coalesce(array_agg(id::text), '{}') FROM money.reservations
 WHERE video_id = $1 AND stage = $2 AND state = 'sent'"""
_SECOND = """
SELECT count(*) FROM money.reservations
 WHERE video_id = $1 AND stage = $2 AND attempt > 1 AND state = 'settled' AND (second_purchase OR policy = 'free')"""
_MARKED = "SELECT count(*) FROM money.reservations WHERE id::text = ANY($1) AND why <> '' AND state <> 'released'"

#: Who sells to whom; each is asked for something that is paid, or counted.
SELLERS: Final = {"openai": "script", "pexels": "media", "elevenlabs": "audio", "google": "audio"}


def _restarted(ground: Ground, how: signal.Signals) -> float:
    """It ends as an operator or a machine ends it, and is started again."""
    videos = ground.submit(3)
    ground.kill("postgres", how)
    return ground.until_ended(*videos)


def _read_only(ground: Ground) -> float:
    """It answers, and takes nothing, for a while."""
    videos = ground.submit(3)
    _configure(ground, "SET default_transaction_read_only = on")
    try:
        time.sleep(_LASTS_S)
    finally:
        _configure(ground, "RESET default_transaction_read_only")
    return ground.until_ended(*videos)


def _configure(ground: Ground, what: str) -> None:
    ground.value(f"ALTER SYSTEM {what}")
    assert ground.value("SELECT pg_reload_conf()")


def _without_room(ground: Ground) -> float:
    """Others have all its connections, and nobody of ours gets one, for a while."""
    videos = ground.submit(3)
    asyncio.run(_crowd(postgres.url(ground.factory.postgres_port, "postgres")))
    return ground.until_ended(*videos)


async def _crowd(url: str) -> None:
    """Take whatever connection is free or becomes free, those of ours, too, which are ended; in the end free all."""
    taken: list[asyncpg.Connection[asyncpg.Record]] = []

    async def take() -> None:
        while True:
            try:
                taken.append(await asyncpg.connect(url))
            except (asyncpg.PostgresError, OSError):
                await asyncio.sleep(_AT_ONCE_S)

    taking = [asyncio.create_task(take()) for _ in range(_TAKERS)]
    try:
        async with asyncio.timeout(_WITHIN_S):
            while not taken or await taken[0].fetchval(_END_OURS):  # noqa: ASYNC110 - it happens in the server
                await asyncio.sleep(_LOOK_S)
        await asyncio.sleep(_LASTS_S)  # the fault itself is that time passes
        left = await taken[0].fetchval(f"SELECT count(*) {_OURS}")
        assert left == 0, f"{left} sessions of ours have found room: nothing was shown"
    finally:
        for task in taking:
            task.cancel()
        await asyncio.gather(*taking, return_exceptions=True)
        for connection in taken:
            connection.terminate()


def _lost(ground: Ground) -> float:
    """Whoever is connected hears no more of it and is not told, nor does it hear that they are gone.

    What they had locked is free again after a lease, or, of one that was cut off between two messages of a statement,
    after the thirty seconds that a statement may take. A machine that is gone is noticed sooner, by its silence.
    """
    videos = ground.submit(3)
    for wire in ground.network.record:
        wire.slows(latency_s=0.02)  # so that it happens in the middle of transactions
    time.sleep(0.3)
    for wire in ground.network.record:
        wire.loses()
    time.sleep(_SILENT_S)  # the fault itself is that time passes
    for wire in ground.network.record:
        wire.passes()
    return ground.until_ended(*videos)


def _late(ground: Ground) -> None:
    """Work is done while every answer is late: nothing has to recover, all takes longer."""
    videos = ground.submit(3)
    for wire in ground.network.record:
        wire.slows(latency_s=_LATE_S)
    took_s = ground.until_ended(*videos)
    ground.figures.append(f"{len(videos)} videos took {took_s:.1f} s with each answer {_LATE_S:g} s late")


def _cut_off(ground: Ground, seller: str, *, dies: bool) -> None:
    """What was sent for is bought, and nobody can book it: it is unknown, counted, and bought again aloud."""
    stage, wire = SELLERS[seller], ground.network.buyers
    reached = ground.order(stage, "after_sent", waits=True)
    pid = ground.factory.pid_of(stage)
    (video,) = ground.submit()
    ground.until(reached.exists)
    wire.refuses()
    in_flight = set(ground.value(_IN_FLIGHT, video, stage))
    assert in_flight, "nothing was sent"
    reached.unlink()
    ground.until(lambda: in_flight <= {line.reservation for line in ground.fakes.lines(seller)})
    if dies:
        os.kill(pid, signal.SIGKILL)
        wire.passes()
    else:
        with ground.another(stage):
            ground.until(lambda: ground.value(_SECOND, video, stage))
            wire.passes()
            ground.until_ended(video)
    ground.until_ended(video)
    marked, second = ground.value(_MARKED, list(in_flight)), ground.value(_SECOND, video, stage)
    assert marked == len(in_flight), f"I4: {marked} of {len(in_flight)} calls that nobody booked were marked unknown"
    assert second, "I2: what was bought in their place is not shown as a second purchase"


def cases() -> Iterator[Case]:
    """Of rows 7 and 8."""
    wires = Needs(proxies=True)
    for name, how in (("fast", signal.SIGINT), ("immediately", signal.SIGQUIT)):
        yield Case(7, f"Postgres restarted {name}", partial(_restarted, how=how), within_s=_WITHIN_S)
    yield Case(7, "Postgres read-only", _read_only, within_s=_WITHIN_S)
    yield Case(7, "no connection left", _without_room, within_s=_WITHIN_S)
    yield Case(7, "Postgres lost without a word", _lost, within_s=_LOCKED_S, needs=wires)
    yield Case(7, "Postgres late by 200 ms", _late, needs=wires)
    for seller in SELLERS:
        needs = wires if seller != "google" else Needs(proxies=True, environ=(("YTEMPIRE_AUDIO_CHAIN", "google"),))
        for then, dies in (("and dies", True), ("and lives", False)):
            yield Case(
                8,
                f"cut off when {seller} was sent for, {then}",
                partial(_cut_off, seller=seller, dies=dies),
                needs=needs,
            )
