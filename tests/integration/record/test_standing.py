"""Modes and throttles in the record: a set, like the holds; and the acknowledgements of an operator."""

from __future__ import annotations

from typing import Literal

import pytest

from schema import flow
from schema.documents import Scene, Script
from schema.events.command import Command
from schema.modes import Bundle, in_force
from schema.record.claims import Claim, Claims, Throttled
from schema.record.commands import Commands
from schema.record.gate import GateRecord
from schema.record.postgres import Postgres
from schema.record.standing import modes_of
from schema.record.videos import Videos
from tests.integration.record.conftest import accept, admitted, execute, value

SCRIPT, MEDIA, AUDIO, RENDER, _ = flow.STAGES
OUTPUT = Script(title="t", scenes=(Scene(narration="words"),))


def cost(verb: Literal["halt", "resume", "mode"], mode: Literal["", "normal", "economy"] = "") -> Command:
    """What the cost guardian says for one cause."""
    return Command(verb, by="cost", cause="over_2.80", mode=mode)


@pytest.fixture
def gate(postgres: Postgres) -> GateRecord:
    return GateRecord(postgres)


class Control:
    """Commands as they come in stream:control, in order."""

    def __init__(self, postgres: Postgres) -> None:
        self._commands, self._number = Commands(postgres), 0

    async def __call__(self, command: Command) -> str:
        """What the next entry did."""
        self._number += 1
        [answer] = await self._commands.apply_entries([(f"{self._number}-0", command)], after="0-0")
        return f"refused: {answer.error}" if answer.error else answer.did


@pytest.fixture
def control(postgres: Postgres) -> Control:
    return Control(postgres)


async def mode(gate: GateRecord, video: str = "") -> Bundle:
    return in_force(modes_of((await gate.read()).orders, video))


async def test_a_mode_is_for_all_or_for_one_video(videos: Videos, gate: GateRecord, control: Control) -> None:
    one, other = await accept(videos, "one"), await accept(videos, "other")
    assert await control(Command("mode", mode="economy", video=one)) == f"economy for {one}"
    assert ((await mode(gate, one)).mode, (await mode(gate, other)).mode) == ("economy", "normal")
    assert (await mode(gate)).mode == "normal"
    assert await control(Command("mode", mode="speed")) == "speed for all"
    assert ((await mode(gate, one)).mode, (await mode(gate, other)).mode) == ("economy", "speed")


async def test_the_last_mode_of_an_operator_is_the_one_in_force(gate: GateRecord, control: Control) -> None:
    await control(Command("mode", mode="economy"))
    await control(Command("mode", mode="speed"))
    assert (await mode(gate)).mode == "speed"
    await control(Command("mode", mode="normal"))
    assert (await gate.read()).orders == ()


async def test_a_guardian_lifts_only_its_own_mode(gate: GateRecord, control: Control) -> None:
    await control(cost("mode", "economy"))
    await control(Command("mode", mode="economy", by="anna"))
    await control(Command("mode", mode="economy", by="gpu", cause="over_2.80"))
    await control(Command("mode", mode="normal", by="cost"))
    assert [order.by for order in (await gate.read()).orders] == ["anna", "gpu"]


async def test_an_operators_normal_clears_all_and_the_guardian_does_not_undo_it_until_its_cause_changes(
    gate: GateRecord, control: Control
) -> None:
    await control(cost("mode", "economy"))
    await control(Command("mode", mode="normal", by="anna"))
    assert await control(cost("mode", "economy")) == (
        "nothing: an operator acknowledged this cause, or something newer is in force"
    )
    assert (await mode(gate)).mode == "normal"
    await control(Command("mode", mode="economy", by="cost", cause="another"))
    assert (await mode(gate)).mode == "economy"
    await control(cost("mode", "normal"))  # the cause is gone, says the guardian: the next is new
    await control(cost("mode", "economy"))
    assert {order.cause for order in (await gate.read()).orders} == {"another", "over_2.80"}


async def test_an_operators_halt_is_not_lifted_by_a_guardian_and_its_resume_is_not_undone_by_one(
    gate: GateRecord, control: Control
) -> None:
    await control(Command("halt", by="anna"))
    await control(cost("resume"))
    assert (await gate.read()).state == "halted"
    await control(cost("halt"))
    await control(Command("resume", by="bob"))
    assert await control(cost("halt")) == "nothing: an operator has acknowledged this cause"
    assert (await gate.read()).state == "open"
    assert await gate.acknowledged("cost") == {"over_2.80"}
    await control(cost("resume"))
    assert await gate.acknowledged("cost") == frozenset()
    await control(cost("halt"))
    assert (await gate.read()).state == "halted"


async def test_a_normal_in_the_stream_lifts_only_what_precedes_it(postgres: Postgres, gate: GateRecord) -> None:
    commands = Commands(postgres)
    direct = Command("mode", mode="economy", id="direct")
    await commands.apply(direct)  # not in the stream yet: newer than all in it
    await commands.apply_entries([("1-0", Command("mode", mode="speed"))], after="0-0")
    await commands.apply_entries([("2-0", Command("mode", mode="normal"))], after="0-0")
    assert (await mode(gate)).mode == "economy"
    await commands.apply_entries([("3-0", direct), ("4-0", Command("mode", mode="normal"))], after="0-0")
    assert (await mode(gate)).mode == "normal"


async def test_an_order_that_never_reached_the_stream_is_listed_to_be_sent(postgres: Postgres, videos: Videos) -> None:
    commands, video = Commands(postgres), await accept(videos, "k")
    given = [
        Command("mode", "why", mode="economy", video=video, id="m"),
        Command("throttle", jobs="2", host="gpu-1", id="t"),
        Command("halt", id="h"),
    ]
    await commands.apply_directly(given)
    await execute(postgres, "UPDATE standing_orders SET placed_at = now() - interval '5 s'")
    await execute(postgres, "UPDATE holds SET placed_at = now() - interval '5 s'")
    assert sorted(await commands.unsent(), key=str) == sorted(given, key=str)


async def test_the_modes_of_videos_that_have_ended_are_forgotten_and_can_no_longer_be_set(
    postgres: Postgres, videos: Videos, gate: GateRecord, control: Control
) -> None:
    video = await accept(videos, "k")
    await control(Command("mode", mode="economy", video=video))
    await control(Command("mode", mode="speed"))
    await control(Command("cancel", video=video))
    await Commands(postgres).tidy()
    assert [order.scope for order in (await gate.read()).orders] == [""]
    assert await control(Command("mode", mode="economy", video=video)) == (
        f"refused: {video} has ended: it is cancelled"
    )


async def test_a_wiped_stream_leaves_orders_that_its_first_normal_lifts(
    postgres: Postgres, gate: GateRecord, control: Control
) -> None:
    await Commands(postgres).apply_entries([("9000-0", Command("mode", mode="economy"))], after="0-0")
    await Commands(postgres).begin_anew()
    assert (await mode(gate)).mode == "economy"
    await control(Command("mode", mode="normal"))
    assert (await mode(gate)).mode == "normal"


async def test_a_throttle_keeps_gpu_jobs_on_its_host_to_its_number(
    videos: Videos, postgres: Postgres, control: Control
) -> None:
    found = [await admitted(videos, f"k{number}") for number in range(4)]
    first = {host: Claims(postgres, worker=f"{host}-render-1-ab", lease_s=60, max_crashes=5) for host in ("a", "b-c")}
    for video in found:
        for stage in (SCRIPT, MEDIA, AUDIO):
            claim = await first["a"].claim(video, stage, entry="e", delayed=False)
            assert isinstance(claim, Claim)
            await first["a"].commit(claim, OUTPUT)
    await control(Command("throttle", jobs="2"))
    await control(Command("throttle", jobs="1", host="a", by="gpu", cause="memory"))

    async def ask(host: str, video: str) -> object:
        return await first[host].claim(video, RENDER, entry="e", delayed=False)

    working = await ask("a", found[0])
    assert isinstance(working, Claim)
    assert await ask("a", found[1]) == Throttled(1)
    assert isinstance(await ask("b-c", found[1]), Claim)
    assert isinstance(await ask("b-c", found[2]), Claim)
    assert await ask("b-c", found[3]) == Throttled(2)
    await first["a"].release(working, "halted")
    assert isinstance(await ask("a", found[3]), Claim)
    await control(Command("throttle", jobs="all"))
    assert isinstance(await ask("a", found[0]), Claim)
    assert await value(postgres, "SELECT count(*) FROM acknowledged_orders WHERE by = 'gpu'") == 1
