"""Thousands of commands at once: in order, bounded, and no halt behind them."""

from __future__ import annotations

import time

import pytest

from actors import control
from actors.control import Control
from schema.events.command import Command
from streams import names, receipts
from streams.process import Process
from streams.transport.port import Entry
from tests.integration.processes import Processes, running, until
from tests.integration.record.conftest import value
from tests.integration.streams.workers import Server

_PAGE = 500
#: What comes round again and again: orders, nonsense, and what must be refused.
_KINDS = (
    {"type": "mode", "mode": "economy", "by": "cost", "cause": "budget"},
    {"type": "throttle", "jobs": "2"},
    {"type": "mode", "mode": "fast"},
    {"type": "retry", "video": "nobody"},
    {"type": "cancel", "video": "nobody"},
    {"type": "mode", "mode": "speed", "reason": "late"},
    {"type": "nonsense", "\u2620": "x"},
    {"type": "mode", "mode": "normal"},
    {"type": "release_gpu"},
    {"type": "throttle", "jobs": "all"},
)


def flood(server: Server, kinds: tuple[dict[str, str], ...], count: int) -> list[str]:
    """Types that many commands in one go; returns their entry ids."""
    with server.pipeline(transaction=False) as together:
        for number in range(count):
            together.xadd(names.CONTROL, kinds[number % len(kinds)])
        return [entry_id.decode() for entry_id in together.execute()]


async def applied(process: Process, entry_id: str, within_s: float = 60) -> None:
    """Waits until the record has come to this entry."""

    async def passed() -> bool:
        return (await process.gate_record.read()).cursor == entry_id

    await until(passed, within_s=within_s)


async def nothing_to_say(process: Process) -> bool:
    """Whether all that commands left to be said was said; that comes after their receipts."""
    return bool(await value(process.postgres, "SELECT count(*) = 0 FROM announcements"))


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_thousands_of_commands_are_applied_in_order_each_answered_and_a_page_at_a_time(
    processes: Processes, redis_server: Server, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    process, pages = await processes("control"), list[int]()
    carry_out = Control.carry_out

    async def noted(self: Control, page: list[Entry]) -> None:
        pages.append(len(page))
        await carry_out(self, page)

    monkeypatch.setattr(Control, "carry_out", noted)
    ids = flood(redis_server, _KINDS, count)
    began_s = time.monotonic()
    async with running(control.run(process)):
        await applied(process, ids[-1], within_s=120)
        await until(lambda: nothing_to_say(process))
    print(f"{count} commands in {time.monotonic() - began_s:.1f} s")  # noqa: T201 - shown with -s
    assert sum(pages) == count
    assert max(pages) <= _PAGE
    in_order = """
        SELECT array_agg(entry_id ORDER BY applied_at, string_to_array(entry_id, '-')::bigint[])
          FROM control_log WHERE error IS NULL"""
    good = [entry_id for number, entry_id in enumerate(ids) if number % len(_KINDS) in (0, 1, 5, 7, 8, 9)]
    assert await value(process.postgres, in_order) == good
    assert await value(process.postgres, "SELECT count(*) FROM standing_orders") == 0
    assert await value(process.postgres, "SELECT count(*) FROM refused_events") == count * 4 // len(_KINDS)
    answers = [receipts.read(process.transport, names.control_receipt_key(entry_id)) for entry_id in ids[-10:]]
    assert [answer["status"] for answer in answers if answer] == [
        *("applied", "applied", "rejected", "rejected", "rejected"),
        *("applied", "rejected", "applied", "applied", "applied"),
    ]


async def test_a_halt_behind_thousands_of_commands_is_in_the_record_long_before_they_are(
    processes: Processes, redis_server: Server
) -> None:
    process = await processes("control")
    flood(redis_server, _KINDS, 1_500)
    redis_server.xadd(names.CONTROL, {"type": "halt", "rezon": "junk"})
    last = flood(redis_server, _KINDS, 1)[0]

    async def halted() -> bool:
        return (await process.gate_record.read()).state == "halted"

    async with running(control.run(process)):
        await until(halted)
        assert (await process.gate_record.read()).cursor != last
        await applied(process, last)
        assert await halted()


async def test_a_resume_in_front_of_a_halt_that_was_recorded_early_does_not_lift_it(
    processes: Processes, redis_server: Server
) -> None:
    process = await processes("control")
    [first] = flood(redis_server, ({"type": "resume"},), 1)
    [second] = flood(redis_server, ({"type": "halt"},), 1)
    assert await process.gate_record.hold_ahead(Command("halt"), entry_id=second)
    await process.gate_record.apply(Command("resume"), entry_id=first)
    assert (await process.gate_record.read()).state == "halted"
    again = await process.gate_record.apply(Command("halt"), entry_id=second)
    assert again.repeated
    assert not await process.gate_record.hold_ahead(Command("halt"), entry_id=second), "it was passed"
