from __future__ import annotations

import asyncio

import pytest

from deploy.launch.ports import free_ports
from schema.events.command import Command
from schema.record.gate import GateRecord, Truth
from streams import names
from streams.control import GateKeeper
from streams.gate import Gate
from streams.process import Process
from streams.publish import publish
from streams.transport.over_redis import RedisTransport
from tests.integration.processes import BLOCK_S, LEASE_S, Processes, until


@pytest.fixture
async def process(processes: Processes) -> Process:
    """A process whose gate is kept."""
    made = await processes()
    await made.keeper.start()
    return made


async def _type(process: Process, **fields: str) -> str:
    """XADD to stream:control; no control actor runs here."""
    return await asyncio.to_thread(publish, process.transport, names.CONTROL, fields)


def _truth(cursor: str, *, generation: int = 0) -> Truth:
    """A record that holds nothing, and has applied the stream as far as `cursor`."""
    return Truth("open", (), cursor, generation)


async def test_a_typed_halt_shuts_the_gate_before_anybody_has_recorded_it(process: Process) -> None:
    assert process.gate.state == "open"
    await _type(process, type="halt", reson="misspelt")
    await until(lambda: process.gate.state == "halted", within_s=1)
    assert (await process.gate_record.read()).state == "open"


async def test_a_typed_resume_opens_nothing_until_the_record_has_passed_the_halt(process: Process) -> None:
    halt = await _type(process, type="halt")
    await until(lambda: process.gate.state == "halted")
    resume = await _type(process, type="resume")
    before_halt = f"{int(halt.split('-')[0]) - 1}-0"
    process.keeper._obey(_truth(before_halt))
    assert process.gate.state == "halted"
    await process.gate_record.apply(Command(verb="halt"), entry_id=halt)
    process.keeper._obey(await process.gate_record.read())
    assert process.gate.state == "halted"
    await process.gate_record.apply(Command(verb="resume"), entry_id=resume)
    await until(lambda: process.gate.state == "open", within_s=2)


async def test_a_pause_never_softens_a_halt_that_the_record_has_not_passed(process: Process) -> None:
    await _type(process, type="halt")
    await _type(process, type="pause")
    await until(lambda: process.gate.state == "halted")
    process.keeper._obey(Truth("paused", (), "1-0", 0))
    assert process.gate.state == "halted"


async def test_a_recorded_halt_outweighs_a_typed_pause_that_the_record_has_not_come_to(process: Process) -> None:
    await _type(process, type="pause")
    await until(lambda: process.gate.state == "paused")
    process.keeper._obey(Truth("halted", (), "1-0", 0))
    assert process.gate.state == "halted"


async def test_a_malformed_pause_shuts_the_gate_only_until_the_record_has_passed_it(process: Process) -> None:
    entry = await _type(process, type="pause", whatever="junk")
    await until(lambda: process.gate.state == "paused")
    await process.gate_record.pass_over(entry)
    await until(lambda: process.gate.state == "open", within_s=2)


async def test_a_stream_that_began_anew_does_not_keep_a_gate_shut_for_ever(process: Process) -> None:
    await _type(process, type="halt")
    await until(lambda: process.gate.state == "halted")
    process.keeper._obey(_truth("0-0"))
    assert not process.gate.takes()
    process.keeper._obey(_truth("0-0", generation=1))
    assert process.gate.takes()


async def test_a_process_that_starts_during_a_recorded_halt_is_halted_from_its_first_moment(
    processes: Processes,
) -> None:
    process = await processes()
    await process.gate_record.apply(Command(verb="halt", id="h"), entry_id=None)
    await process.keeper.start()
    assert process.gate.state == "halted"


async def test_a_process_that_starts_after_a_halt_that_nobody_has_recorded_yet_is_halted_too(
    processes: Processes,
) -> None:
    process = await processes()
    await _type(process, type="halt")
    await process.keeper.start()
    assert process.gate.state == "halted"


async def test_a_halt_reaches_a_process_within_two_seconds_though_redis_is_gone(processes: Processes) -> None:
    process = await processes()
    nowhere = RedisTransport(f"redis://127.0.0.1:{free_ports()}/0", process="test", lease_s=LEASE_S, block_s=BLOCK_S)
    gate = Gate()
    keeper = GateKeeper(gate, GateRecord(process.postgres), nowhere, block_s=BLOCK_S)
    await keeper.start()
    await process.gate_record.apply(Command(verb="halt", id="h"), entry_id=None)
    await until(lambda: gate.state == "halted", within_s=2)
    await process.gate_record.apply(Command(verb="resume", id="r"), entry_id=None)
    await until(lambda: gate.state == "open", within_s=2)
    await keeper.stop()
    await asyncio.to_thread(nowhere.close)


async def test_a_record_that_could_not_be_read_once_is_read_again(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()

    async def fail(_self: GateRecord) -> Truth:
        failed.set()
        raise RuntimeError("a mistake")

    with monkeypatch.context() as broken:
        broken.setattr(GateRecord, "read", fail)
        await asyncio.wait_for(failed.wait(), 3)
    await process.gate_record.apply(Command(verb="halt", id="h"), entry_id=None)
    await until(lambda: process.gate.state == "halted", within_s=3)
