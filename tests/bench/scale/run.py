"""One whole bench of scale: few and many that wait, one and many processes that work, and the table.

Says what it does while it does it. Without flags all ends within nine minutes on two quiet cores.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from schema.errors import ConfigurationError
from tests.bench.halt.lab import Say
from tests.bench.scale import backlog, workers
from tests.bench.scale.backlog import Backlog
from tests.bench.scale.staff import GUARDIANS
from tests.bench.scale.workers import Team
from tests.bench.table import Goal, Row, columns, lines, number, row

T = TypeVar("T")
_FLAT_COST, _SPEED_UP = Goal("<=", 1.2), Goal(">=", 7.5)
_TICK_MS, _FLAT_MEMORY = Goal("<=", 50), Goal("<=", 1.1)
#: The processes whose speed is compared with that of one.
_COMPARED: Final = 8


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    waiting: tuple[int, ...] = (1, 10, 100, 1_000, 100_000)
    processes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    #: Videos that are made beside each number that waits, in each round.
    videos: int = 150
    rounds: int = 1

    def check(self) -> None:
        """Raises ConfigurationError for numbers that nothing can be made of."""
        if any(number < 1 for number in (*self.waiting, *self.processes)):
            raise ConfigurationError("got a number below 1", hint="--waiting 1,100000 --processes 1,8")


def run(options: Options, say: Say) -> list[Row]:
    """Measures, says the table, and returns its rows."""
    seen: dict[int, list[Backlog]] = {waiting: [] for waiting in options.waiting}
    teams: dict[int, list[Team]] = {processes: [] for processes in options.processes}
    for done in range(options.rounds):
        say(f"round {done + 1} of {options.rounds}")
        for waiting, backlogs in seen.items():
            backlogs.append(backlog.measure(waiting, options.videos, say))
        for processes, found in teams.items():
            found.append(workers.measure(processes, say))
    rows = [*_backlogs(seen), *_teams(teams)]
    told = [(one.row, f"{number(one.value)} {one.unit}", one.note) for one in rows if one.goal is None]
    for line in ("", *columns(("", "figure", ""), told), "", *lines(rows)):
        say(line)
    return rows


def _backlogs(seen: dict[int, list[Backlog]]) -> Iterator[Row]:
    for waiting, found in seen.items():
        wall_ms, asked = (_median(found, of) for of in (lambda one: one.wall_ms, lambda one: one.statements))
        note = f"{asked:.0f} statements, one each {wall_ms:.0f} ms"
        yield row(f"a video, {waiting:,} waiting", _median(found, lambda one: one.cpu_ms), "ms CPU", note=note)
    if not seen:
        return
    few, many = seen[min(seen)], seen[max(seen)]
    grown = _median(many, lambda one: one.cpu_ms) / _median(few, lambda one: one.cpu_ms)
    yield row(f"a video, {max(seen):,} waiting against {min(seen):,}", grown, "x", _FLAT_COST)
    for name in GUARDIANS:
        tick_ms = _median(many, lambda one, name=name: one.tick_ms(name))  # type: ignore[misc] # mypy cannot infer it
        yield row(f"a tick of {name}, {max(seen):,} waiting", tick_ms, "ms CPU", _TICK_MS)
    yield row(f"dispatch a second, {max(seen):,} waiting", _median(many, lambda one: one.turn_ms), "ms CPU")
    last = many[-1]
    yield row(
        f"memory of all processes after {last.videos:,} videos",
        sum(last.memory_mb.values()) / sum(last.memory_before_mb.values()),
        "x",
        _FLAT_MEMORY,
        note=f"{sum(last.memory_mb.values()):.0f} MiB; Redis {last.redis_mb:.0f} MiB",
    )


def _teams(teams: dict[int, list[Team]]) -> Iterator[Row]:
    for processes, found in teams.items():
        cpu_ms, memory_mb = (_median(found, of) for of in (lambda one: one.cpu_ms, lambda one: one.memory_mb))
        note = f"{cpu_ms:.1f} ms CPU a piece, {memory_mb:.0f} MiB a process"
        yield row(f"{processes} processes of a stage", _median(found, lambda one: one.rate), "pieces/s", note=note)
    if 1 in teams and _COMPARED in teams:
        one, several = (_median(teams[number], lambda team: team.rate) for number in (1, _COMPARED))
        yield row(f"{_COMPARED} processes against 1", several / one, "x", _SPEED_UP)


def _median(found: Sequence[T], of: Callable[[T], float]) -> float:
    return statistics.median(map(of, found))
