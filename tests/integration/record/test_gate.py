from __future__ import annotations

import asyncio

import asyncpg
import pytest

from schema.events.command import Command
from schema.record.gate import GateRecord
from schema.record.postgres import Postgres
from tests.integration.money.conftest import until_waiting
from tests.integration.record.conftest import execute, value


@pytest.fixture
def gate(postgres: Postgres) -> GateRecord:
    return GateRecord(postgres)


async def test_a_new_record_is_open(gate: GateRecord) -> None:
    truth = await gate.read()
    assert (truth.state, truth.holds, truth.cursor) == ("open", (), "0-0")


async def test_a_halt_outweighs_a_pause_and_a_resume_lifts_both(gate: GateRecord) -> None:
    await gate.apply(Command(verb="pause"), entry_id="1-0")
    await gate.apply(Command(verb="halt"), entry_id="2-0")
    assert (await gate.read()).state == "halted"
    applied = await gate.apply(Command(verb="resume"), entry_id="3-0")
    assert (applied.lifted, applied.state) == (2, "open")
    assert (await gate.read()).cursor == "3-0"


async def test_an_entry_applies_once(gate: GateRecord) -> None:
    await gate.apply(Command(verb="halt"), entry_id="1-0")
    await gate.apply(Command(verb="resume"), entry_id="2-0")
    again = await gate.apply(Command(verb="halt"), entry_id="1-0")
    assert again.repeated
    assert (await gate.read()).state == "open"


async def test_a_resume_lifts_only_what_precedes_it_in_the_stream(gate: GateRecord) -> None:
    await gate.apply(Command(verb="halt", id="direct"), entry_id=None)  # not in the stream yet: newer than all in it
    await gate.apply(Command(verb="resume"), entry_id="9-0")
    assert (await gate.read()).state == "halted"
    await gate.apply(Command(verb="halt", id="direct"), entry_id="10-0")
    await gate.apply(Command(verb="resume"), entry_id="9-1")  # comes later, was said before
    assert (await gate.read()).state == "halted"
    await gate.apply(Command(verb="resume"), entry_id="11-0")
    assert (await gate.read()).state == "open"


async def test_a_direct_resume_lifts_all_and_its_entry_later_changes_nothing(gate: GateRecord) -> None:
    await gate.apply(Command(verb="halt", id="h"), entry_id=None)
    await gate.apply(Command(verb="resume", id="r"), entry_id=None)
    assert (await gate.read()).state == "open"
    await gate.apply(Command(verb="halt", id="h"), entry_id="1-0")
    assert (await gate.read()).state == "open"


async def test_a_guardian_lifts_only_its_own(gate: GateRecord) -> None:
    await gate.apply(Command(verb="halt", by="cost", cause="budget"), entry_id="1-0")
    await gate.apply(Command(verb="halt", by="operator"), entry_id="2-0")
    await gate.apply(Command(verb="resume", by="cost"), entry_id="3-0")
    assert [hold.by for hold in (await gate.read()).holds] == ["operator"]


async def test_an_operators_resume_acknowledges_the_guardians_cause(gate: GateRecord, postgres: Postgres) -> None:
    await gate.apply(Command(verb="halt", by="cost", cause="budget"), entry_id="1-0")
    await gate.apply(Command(verb="resume"), entry_id="2-0")
    assert await value(postgres, "SELECT cause FROM acknowledged_causes WHERE by = 'cost'") == "budget"


async def test_a_hold_that_never_reached_the_stream_is_listed_to_be_sent(gate: GateRecord, postgres: Postgres) -> None:
    await gate.apply(Command(verb="halt", id="lonely", reason="why"), entry_id=None)
    await execute(postgres, "UPDATE holds SET placed_at = now() - interval '5 s'")
    assert [(command.verb, command.id, command.reason) for command in await gate.unsent()] == [
        ("halt", "lonely", "why")
    ]
    await gate.apply(Command(verb="halt", id="lonely"), entry_id="1-0")
    assert await gate.unsent() == []


async def test_a_stream_that_began_anew_is_a_new_generation(gate: GateRecord) -> None:
    await gate.apply(Command(verb="halt"), entry_id="5-0")
    await gate.begin_anew()
    truth = await gate.read()
    assert (truth.cursor, truth.generation, truth.state) == ("0-0", 1, "halted")


async def test_a_gate_is_not_opened_by_a_halt_that_commits_while_the_record_is_read(
    postgres: Postgres, database_url: str
) -> None:
    record, owner = GateRecord(postgres), await asyncpg.connect(database_url)
    async with owner.transaction():
        await owner.execute("LOCK TABLE cursors IN ACCESS EXCLUSIVE MODE")
        reading = asyncio.create_task(record.read())
        await until_waiting(owner)
        await owner.execute("INSERT INTO holds (kind, by, command) VALUES ('halt', 'operator', 'h')")
        await owner.execute(
            "INSERT INTO cursors (reader, stream, entry_id) VALUES ('control', 'stream:control', '9-0')"
        )
    truth = await reading
    assert (truth.state, truth.cursor) in {("halted", "9-0"), ("open", "0-0")}
    await owner.close()
