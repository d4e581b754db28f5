from __future__ import annotations

import asyncio

from streams import names
from streams.publish import publish
from tests.integration.processes import Processes, entries, until
from tests.integration.streams.workers import Server


async def test_halt_that_redis_lost_before_it_was_recorded_does_not_keep_a_gate_shut_for_ever_and_unseen(
    processes: Processes, redis_server: Server
) -> None:
    """No control actor runs: it is as if it had been dead while the halt was typed."""
    first, second = [await processes() for _ in range(2)]
    for process in (first, second):
        await process.keeper.start()
    await asyncio.to_thread(publish, first.transport, names.CONTROL, {"type": "halt", "reason": "smoke"})
    await until(lambda: first.gate.state == second.gate.state == "halted")
    redis_server.flushall()

    await until(lambda: bool(entries(redis_server, names.CONTROL)))
    said = entries(redis_server, names.CONTROL)
    await until(lambda: first.keeper._unrecorded is not None and second.keeper._unrecorded is not None)

    assert said == entries(redis_server, names.CONTROL)  # once, whoever says it
    assert [fields[b"reason"] for fields in said] == [b"smoke"]
    again, _ = redis_server.xrange(names.CONTROL)[-1]
    await first.gate_record.pass_over(again.decode())
    await until(lambda: first.gate.state == second.gate.state == "open", within_s=3)
