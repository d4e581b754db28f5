"""Chores on a real record: each due hour once on all hosts, made up once, taken over from the dead."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import msgspec

from deploy.chores.doing import Chores
from deploy.chores.schedule import Chore
from deploy.reporting.messages import Messenger
from schema.record.chore_runs import ChoreRuns, Run
from schema.record.messages import Messages
from schema.settings.operations import Operations
from tests.integration.processes import Processes
from tests.integration.record.conftest import execute, value

NOW = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)
DUE = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)


class Host:
    """A chores process whose only chore is the hourly backup, in the hands of a test."""

    def __init__(self, chores: Chores) -> None:
        self.chores, self.now, self.did = chores, NOW, 0
        self.program = "print('well')"
        chores.now = lambda: self.now
        chores.command = self._command

    def _command(self, _: Chore) -> tuple[str, ...]:
        self.did += 1
        return (sys.executable, "-c", self.program)


async def host(processes: Processes, **settings: object) -> Host:
    process = await processes("chores")
    off = dict.fromkeys(("monitor_at", "backup_daily_at", "backup_weekly_at", "wrap_at"), "off")
    limits = msgspec.structs.replace(process.settings.limits, disk_usage_percent=100.0)
    process.settings = msgspec.structs.replace(
        process.settings, limits=limits, operations=msgspec.convert({**off, **settings}, Operations)
    )
    messenger = Messenger(process)
    await messenger.prepare()
    return Host(Chores(process, messenger))


async def runs(on: Host) -> list[Run]:
    return await ChoreRuns(on.chores._process.postgres).latest()


async def test_what_was_due_before_the_first_start_is_nobodys_and_what_comes_is_done_once(processes: Processes) -> None:
    one, other = await host(processes), await host(processes)
    await one.chores.tick()
    assert [(run.outcome, run.due_at) for run in await runs(one)] == [("skipped", DUE)]
    one.now = other.now = NOW + timedelta(hours=1)
    for _ in range(2):
        await one.chores.tick()
        await other.chores.tick()
    assert (one.did, other.did) == (1, 0)
    (run,) = await runs(one)
    assert (run.outcome, run.due_at, run.said) == ("done", DUE + timedelta(hours=1), "well\n")


async def test_what_was_missed_is_made_up_once(processes: Processes) -> None:
    one = await host(processes)
    await one.chores.tick()
    one.now += timedelta(hours=50)
    await one.chores.tick()
    await one.chores.tick()
    assert one.did == 1


async def test_a_run_whose_host_died_is_taken_over_after_its_lease_and_not_before(processes: Processes) -> None:
    one = await host(processes)
    postgres = one.chores._process.postgres
    assert await ChoreRuns(postgres).claim("backup_hourly", DUE, "dead host")
    await one.chores.tick()
    assert one.did == 0
    await execute(postgres, "UPDATE chore_runs SET renewed_at = now() - interval '61 s'")
    await one.chores.tick()
    assert one.did == 1
    assert [run.outcome for run in await runs(one)] == ["done"]


async def test_while_one_chore_is_done_no_host_begins_another(processes: Processes) -> None:
    one = await host(processes)
    postgres = one.chores._process.postgres
    assert await ChoreRuns(postgres).claim("wrap", DUE, "other host")
    assert not await ChoreRuns(postgres).claim("backup_hourly", DUE, "this host")


async def test_a_chore_that_fails_is_a_row_and_an_alert_with_what_it_said(processes: Processes) -> None:
    one = await host(processes, alerts_to="json://127.0.0.1:1/")
    await one.chores.tick()
    one.now, one.program = NOW + timedelta(hours=1), "import sys; sys.exit('the disk is full')"
    await one.chores.tick()
    await one.chores.tick()
    assert one.did == 1
    assert [(run.outcome, run.said) for run in await runs(one)] == [("failed", "the disk is full\n")]
    due = await Messages(one.chores._process.postgres, repeat_s=1, per_hour=1).take(one.now)
    assert due is not None
    assert due.title.startswith("backup_hourly failed on ")
    assert due.body == "the disk is full\ndo: ./ytempire backup --class hourly"


async def test_a_chore_that_takes_too_long_is_ended(processes: Processes) -> None:
    one = await host(processes, chore_limit_s=0.3)
    await one.chores.tick()
    one.now, one.program = NOW + timedelta(hours=1), "import time; time.sleep(60)"
    await one.chores.tick()
    (run,) = await runs(one)
    assert run.outcome == "failed"
    assert run.said.endswith("it took longer than 0.3 s")


async def test_a_full_disk_is_cleaned_once_an_hour(processes: Processes) -> None:
    one = await host(processes, backup_hourly_at="off")
    settings = one.chores._process.settings
    full = msgspec.structs.replace(settings.limits, disk_usage_percent=0.001)
    one.chores._process.settings = msgspec.structs.replace(settings, limits=full)
    await one.chores.tick()
    await one.chores.tick()
    assert one.did == 1
    assert await value(one.chores._process.postgres, "SELECT chore FROM chore_runs") == "clean"
