"""One whole bench of the halt: a trial after the other, each in a folder of its own, and the table.

Says what it does while it does it. Without flags all ends within nine minutes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import numpy as np

from schema.errors import ConfigurationError
from tests.bench.halt import gates
from tests.bench.halt.cycles import cycles
from tests.bench.halt.gates import Film
from tests.bench.halt.lab import Say, Servers, crew
from tests.bench.halt.paying import OPTIONS, paying
from tests.bench.halt.rebuilding import rebuilding
from tests.bench.halt.watching import watching
from tests.bench.table import Goal, Row, lines, row

_ONLY: Final = "choose of gates, money, work, rebuild, guardians"
_NONE: Final = Goal("=", 0)
#: Of a thousand halts that many must meet an open reservation.
_MEETS: Final = 0.3


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    processes: int = 32
    #: Rounds of halt and resume: with everybody idle, while films are made, with Redis stopped, and killed.
    rounds: int = 100
    films: int = 50
    stopped: int = 10
    killed: int = 4
    #: Halts against processes that buy.
    halts: int = 1_000
    cycles: int = 200
    waiting: int = 10_000
    watched_s: float = 30.0
    only: tuple[str, ...] = ()


def run(options: Options, say: Say) -> list[Row]:
    """Measures, says the table, and returns its rows; raises ConfigurationError for a trial that there is not."""
    trials: dict[str, Callable[[Path, Options, Say], list[Row]]] = {
        "gates": _gates,
        "money": _money,
        "work": _work,
        "rebuild": _rebuild,
        "guardians": _guardians,
    }
    if unknown := [name for name in options.only if name not in trials]:
        raise ConfigurationError(f"there is no trial {', '.join(unknown)}", hint=_ONLY)
    began_s = time.monotonic()

    def say_when(line: str) -> None:
        say(f"{time.monotonic() - began_s:4.0f} s  {line}")

    found: list[Row] = []
    for name, trial in trials.items():
        if not options.only or name in options.only:
            say_when(name)
            with TemporaryDirectory(prefix="ytempire-bench-") as folder:
                found += trial(Path(folder), options, say_when)
    for line in ("", *lines(found)):
        say(line)
    return found


def _gates(folder: Path, options: Options, say: Say) -> list[Row]:
    with Servers(folder) as servers, crew(servers, gates.commands(options.processes)) as everybody:
        say(f"{options.processes} processes are ready; {options.rounds} rounds, idle")
        idle = gates.idle(everybody, options.rounds)
        say(f"{options.stopped} rounds with Redis stopped, {options.killed} with Redis killed")
        stopped = gates.without_redis(everybody, options.stopped, killed=False)
        stopped += gates.without_redis(everybody, options.killed, killed=True)
        say(f"{options.films} rounds while two films are made")
        films = gates.filming(everybody, options.films, say)
    last = f"halt to the gate of the last of {options.processes} processes"
    return [
        _latency(f"{last}, p99, idle", idle, Goal("<=", 50)),
        _latency(f"{last}, p99, two renders running", [film.shut_ms for film in films], Goal("<=", 150)),
        _without_redis(last, stopped),
        *_films(films),
    ]


def _latency(name: str, took_ms: Sequence[float], goal: Goal) -> Row:
    note = f"median {statistics.median(took_ms):.1f}, longest {max(took_ms):.1f} of {len(took_ms)} halts by XADD"
    return row(name, float(np.percentile(took_ms, 99)), "ms", goal, note=note)


def _without_redis(last: str, took_ms: Sequence[float]) -> Row:
    note = (
        f"longest of {len(took_ms)}, median {statistics.median(took_ms) / 1000:.2f}; "
        "from the start of the command's program, which takes a good part of it"
    )
    return row(f"{last}, Redis stopped or killed, by the CLI", max(took_ms) / 1000, "s", Goal("<=", 1.5), note=note)


def _films(films: Sequence[Film]) -> list[Row]:
    latest = [film.last_frame_ms for film in films]
    after = sum(took_ms > 0 for took_ms in latest)
    note = f"longest of {len(films)} halts; in {after} of them a frame was finished after the halt at all"
    return [
        row("halt to the last frame encoded by two renders", max(latest), "ms", Goal("<=", 100), note=note),
        row("films under a name after a halt in their middle", sum(film.named for film in films), "", _NONE),
    ]


def _money(folder: Path, options: Options, say: Say) -> list[Row]:
    with Servers(folder, postgres_options=OPTIONS) as servers:
        paid = paying(servers, options.halts, say)
    note = f"{paid.calls:,} calls in the fakes' ledger; when a halt and a reservation happened, Postgres says"
    return [
        row(f"reservations sent after a halt was committed, {paid.halts:,} halts", paid.sent_halted, "", _NONE),
        row("calls that a provider saw without, by reservation", paid.calls_unpermitted, "", _NONE, note=note),
        row(
            "halts that met an open reservation",
            paid.met_open,
            "",
            Goal(">=", round(_MEETS * paid.halts)),
            note="one that was made, and neither sent nor ended, when the halt was committed",
        ),
    ]


def _work(folder: Path, options: Options, say: Say) -> list[Row]:
    cycled = cycles(folder, options.cycles, say)
    note = f"{cycled.accepted} videos of five stages; halts interrupted {cycled.interrupted} attempts"
    return [row(f"work lost over {options.cycles:,} halts and resumes", cycled.lost, "", _NONE, note=note)]


def _rebuild(folder: Path, options: Options, say: Say) -> list[Row]:
    say(f"{options.waiting:,} waiting, the queue and the hands full")
    rebuilt = rebuilding(folder, options.waiting)
    note = (
        f"{rebuilt.events} events for {rebuilt.videos} videos in hand, by two guardians at once; "
        f"the keys of the queue were back after {rebuilt.keys_s:.1f} s"
    )
    return [
        row("FLUSHALL to the last event published again", rebuilt.last_event_s, "s", Goal("<=", 10), note=note),
        row("stages begun or committed twice after two rebuilt at once", rebuilt.doubled, "", _NONE),
    ]


def _guardians(folder: Path, options: Options, say: Say) -> list[Row]:
    say(f"an idle factory, for {options.watched_s:g} s")
    costs = watching(folder, options.watched_s)
    return [
        row(f"CPU of the {name} guardian, idle", cost, "% of a core", Goal("<=", 1.0)) for name, cost in costs.items()
    ]
