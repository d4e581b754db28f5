from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from actors import control
from schema.events.command import Command
from streams import names, receipts
from streams.process import Process
from streams.publish import publish
from tests.integration.processes import PATIENCE_S, Processes, command, entries, running, until
from tests.integration.record.conftest import value
from tests.integration.streams.workers import Server


@pytest.fixture
async def factory(processes: Processes) -> AsyncIterator[Process]:
    """A control actor, and another process whose gate follows."""
    async with running(control.run(await processes("control"))):
        other = await processes("other")
        await other.keeper.start()
        yield other


async def _hold_directly(process: Process, entry_id: str = "h") -> None:
    """A halt as the command line gives it to the record, which has not reached the stream."""
    await process.gate_record.apply(Command(verb="halt", id=entry_id), entry_id=None)


async def test_a_halt_with_junk_fields_halts(factory: Process) -> None:
    receipt = await command(factory, type="halt", reson="misspelt")
    assert receipt == {"status": "applied", "type": "halt", "gate": "halted"}
    assert factory.gate.state == "halted"


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"type": "resume", "everything": "yes"}, "everything"),
        ({"type": "Resume"}, "Resume"),
        ({"type": "stopp"}, "stopp"),
        ({"verb": "resume"}, "type is missing"),
    ],
)
async def test_what_is_malformed_or_unknown_opens_nothing_and_is_answered_with_a_right_line(
    factory: Process, redis_server: Server, said: dict[str, str], wrong: str
) -> None:
    await command(factory, type="halt")
    entry_id = await asyncio.to_thread(publish, factory.transport, names.CONTROL, said)
    receipt = await asyncio.to_thread(receipts.wait, factory.transport, names.control_receipt_key(entry_id), PATIENCE_S)
    assert receipt is not None
    assert receipt["status"] == "rejected"
    assert wrong in receipt["error"]
    assert receipt["hint"].startswith("redis-cli XADD stream:control '*' type ")
    [rejected] = entries(redis_server, names.REJECTED)
    kept = {name.encode(): text.encode() for name, text in said.items()}
    assert rejected == kept | {
        b"error": receipt["error"].encode(),
        b"hint": receipt["hint"].encode(),
        b"from_stream": b"stream:control",
        b"from_id": entry_id.encode(),
    }
    rows = "SELECT kind || ' ' || from_stream FROM refused_events WHERE from_id = $1"
    assert await value(factory.postgres, rows, entry_id) == "rejected stream:control"

    async def is_behind_it() -> bool:  # a line is answered before the record's place moves behind it
        return (await factory.gate_record.read()).cursor == entry_id

    await until(is_behind_it)
    assert (await factory.gate_record.read()).state == "halted"
    assert (await command(factory, type="resume"))["gate"] == "open"
    await until(lambda: factory.gate.state == "open", within_s=2)


async def test_an_entry_of_ten_thousand_fields_does_not_keep_a_halt_from_being_recorded(
    factory: Process, redis_server: Server
) -> None:
    redis_server.xadd(names.CONTROL, {f"f{number}": "x" for number in range(10_000)})
    assert (await command(factory, type="halt"))["gate"] == "halted"
    [rejected] = entries(redis_server, names.REJECTED)
    assert len(rejected) == 10_004


async def test_a_typed_resume_lifts_no_hold_that_is_not_in_the_stream_yet(factory: Process) -> None:
    await _hold_directly(factory)
    assert (await command(factory, type="resume"))["gate"] == "halted"


async def test_a_hold_that_could_not_be_published_is_published_later_and_then_a_resume_lifts_it(
    factory: Process, redis_server: Server
) -> None:
    await _hold_directly(factory)
    await value(factory.postgres, "UPDATE holds SET placed_at = now() - interval '5 s' RETURNING 1")
    nobody_waits = "SELECT entry IS NOT NULL FROM holds"

    async def arrived() -> bool:
        return bool(await value(factory.postgres, nobody_waits))

    await until(arrived)
    assert len(entries(redis_server, names.CONTROL)) == 1
    assert (await command(factory, type="resume"))["gate"] == "open"


async def test_a_restart_goes_on_where_it_was_and_applies_nothing_twice(processes: Processes) -> None:
    async with running(control.run(await processes("control"))):
        await command(await processes(), type="pause")
        await command(await processes(), type="resume")
    other = await processes()
    entry_id = await asyncio.to_thread(publish, other.transport, names.CONTROL, {"type": "halt"})
    async with running(control.run(await processes("control"))):
        key = names.control_receipt_key(entry_id)
        assert await asyncio.to_thread(receipts.wait, other.transport, key, PATIENCE_S)
    assert await value(other.postgres, "SELECT count(*) FROM control_log") == 3
    assert (await other.gate_record.read()).state == "halted"


async def test_after_a_wipe_and_with_a_clock_behind_a_resume_still_lifts_the_halt(processes: Processes) -> None:
    process = await processes("control")
    await process.gate_record.apply(Command(verb="halt"), entry_id="9000000000000-0")  # the clock was ahead then
    async with running(control.run(process)):
        assert (await command(await processes(), type="resume"))["gate"] == "open"
    assert (await process.gate_record.read()).generation == 1
