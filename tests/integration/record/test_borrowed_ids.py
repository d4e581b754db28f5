from __future__ import annotations

import pytest

from schema.events.command import Command
from schema.record.commands import Commands
from schema.record.gate import GateRecord
from schema.record.postgres import Postgres


@pytest.mark.parametrize("verb", ["halt", "resume"])
async def test_hold_that_bears_the_id_of_a_refused_command_neither_stops_the_control_actor_nor_is_lost(
    postgres: Postgres, verb: str
) -> None:
    commands = Commands(postgres)
    refused = Command("retry", video="nobody", id="mine")
    assert (await commands.apply_entries([("1-0", refused)], after="1-0"))[0].error is not None
    if verb == "resume":
        await commands.apply_entries([("2-0", Command("halt"))], after="2-0")

    borrowed = Command("halt", id="mine") if verb == "halt" else Command("resume", id="mine")
    answers = await commands.apply_entries([("3-0", borrowed)], after="3-0")

    assert answers[0].error is None
    assert (await GateRecord(postgres).read()).state == ("halted" if verb == "halt" else "open")
