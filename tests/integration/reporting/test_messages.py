"""From a guardian's notice to a webhook: once, again where it was not taken, and never too often."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from deploy.reporting.delivery import deliver, targets
from deploy.reporting.messages import Messenger
from schema.errors import ConfigurationError
from schema.record.messages import Message
from schema.settings.operations import Operations
from streams import names
from streams.process import Process
from streams.publish import publish
from tests.integration.processes import Processes, running, until
from tests.integration.reporting.conftest import Sink

NOW = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)
HELD = {"type": "cost.held", "by": "cost", "cause": "day_budget", "reason": "$149.90 of $150", "level": "critical"}


class At:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        """The time that was set."""
        return self.time

    def monotonic_s(self) -> float:
        """Likewise."""
        return self.time.timestamp()


async def messenger(processes: Processes, *, clock: At | None = None, **settings: object) -> Messenger:
    process: Process = await processes("chores")
    operations = msgspec.convert(settings, Operations)
    process.settings = msgspec.structs.replace(process.settings, operations=operations)
    if clock is not None:
        process.clock = clock  # type: ignore[assignment]  # a clock all the same
    made = Messenger(process)
    await made.prepare()
    return made


def alert(number: int, *, cause: str = "c", level: str = "critical", at: datetime = NOW) -> Message:
    return Message(f"test/{number}", cause, level, f"title {number}", "body", at)


async def sent(there: Messenger) -> None:
    while await there.send_next():
        pass


async def test_what_a_guardian_says_reaches_the_webhook_once_also_after_a_restart(
    processes: Processes, sink: Sink
) -> None:
    first = await messenger(processes, alerts_to=sink.url)
    transport = first._process.transport
    async with running(first.run()):
        await until(lambda: bool(first._kept))
        await asyncio.to_thread(publish, transport, names.NOTICES, HELD)
        await until(lambda: bool(sink.told))
    assert sink.titles == ["cost: day budget, held"]
    assert "$149.90 of $150" in sink.told[0]["message"]
    again = {**HELD, "cause": "burn_rate"}
    await asyncio.to_thread(publish, transport, names.NOTICES, again)  # while nobody reads
    second = await messenger(processes, alerts_to=sink.url)
    async with running(second.run()):
        await until(lambda: len(sink.told) > 1)
    assert sink.titles == ["cost: day budget, held", "cost: burn rate, held"]


async def test_the_same_cause_is_told_once_and_counted_when_it_is_told_again(processes: Processes, sink: Sink) -> None:
    clock = At()
    there = await messenger(processes, clock=clock, alerts_to=sink.url, alerts_repeat_s=600)
    await there.messages.post([alert(1)])
    await sent(there)
    states = await there.messages.post([alert(2), alert(2), alert(3)])
    assert states == ["repeated", "", "repeated"]
    clock.time += timedelta(seconds=601)
    await there.messages.post([alert(4, at=clock.time)])
    await sent(there)
    assert sink.titles == ["title 1", "title 4"]
    assert "and 2 times more" in sink.told[1]["message"]


async def test_the_end_is_told_where_the_beginning_was_and_a_new_beginning_is_news(
    processes: Processes, sink: Sink
) -> None:
    there = await messenger(processes, clock=At(), alerts_to=sink.url)
    steps = ["normal", "critical", "normal", "normal", "critical"]
    states = await there.messages.post([alert(number, level=level) for number, level in enumerate(steps)])
    assert states == ["repeated", "due", "due", "repeated", "due"]


async def test_a_flood_ends_with_one_message_that_says_so(processes: Processes, sink: Sink) -> None:
    there = await messenger(processes, clock=At(), alerts_to=sink.url, alerts_per_hour=2)
    await there.messages.post([alert(number, cause=f"cause {number}") for number in range(6)])
    await sent(there)
    assert sink.titles == ["title 0", "title 1", "more than 2 alerts within an hour"]


async def test_an_address_that_refuses_is_tried_again_later_and_the_other_is_told_once(
    processes: Processes, sink: Sink
) -> None:
    clock = At()
    there = await messenger(processes, clock=clock, alerts_to=f"{sink.url} json://127.0.0.1:1/gone, {sink.url}/2")
    await there.messages.post([alert(1)])
    await sent(there)
    assert len(sink.told) == 2
    assert not await there.send_next()  # not at once
    clock.time += timedelta(seconds=16)
    assert await there.send_next()
    assert not await there.send_next()
    assert len(sink.told) == 2
    clock.time += timedelta(hours=25)
    assert await there.send_next()
    clock.time += timedelta(hours=25)
    assert not await there.send_next()  # given up


async def test_a_webhook_that_comes_back_gets_what_it_missed(processes: Processes, sink: Sink) -> None:
    clock = At()
    there = await messenger(processes, clock=clock, alerts_to=sink.url)
    sink.refusals = 1
    await there.messages.post([alert(1)])
    await sent(there)
    assert not sink.told
    clock.time += timedelta(seconds=16)
    await sent(there)
    assert sink.titles == ["title 1"]


async def test_with_nobody_to_tell_an_alert_is_a_line_of_the_log(
    processes: Processes, capsys: pytest.CaptureFixture[str]
) -> None:
    there = await messenger(processes)
    await there.tell([alert(1)])
    assert "title 1" in capsys.readouterr().out
    assert not await there.send_next()


def test_an_address_that_nobody_knows_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError, match="address 2 ") as refused:
        targets("json://127.0.0.1/a carrier-pigeon://secret@loft")
    assert "secret" not in str(refused.value)


def test_what_is_said_of_an_address_shows_no_password() -> None:
    (target,) = targets("json://me:hunter2@127.0.0.1:1/x")
    failed = deliver((target,), "t", "b").failed
    assert "hunter2" not in repr(target) + str(failed)
    assert failed


def test_a_token_in_the_path_of_a_webhook_is_shown_to_nobody_and_two_hooks_of_a_host_are_told_apart() -> None:
    there = targets("json://127.0.0.1:1/services/T0SECRET0/B1 json://127.0.0.1:1/services/T0SECRET0/B2?token=T0SECRET1")
    failed = deliver(there, "t", "b").failed
    assert list(failed) == ["json://127.0.0.1:1/...", "json://127.0.0.1:1/... (address 2)"]
    assert "SECRET" not in repr(there) + str(failed)
