"""Plays cases one after the other, each followed by every invariant; keeps a journal, so that it can go on.

A ground that broke an invariant, or on which something did not end, is left: the next case has a fresh one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import msgspec

from schema.errors import PipelineError
from tests.faults.ground import Ground
from tests.faults.matrix import ROWS, Case, Make

Say = Callable[[str], None]


class Run(msgspec.Struct, frozen=True):
    """What was seen of one case, played once."""

    row: int
    case: str
    round: int
    seed: int
    took_s: float
    #: Seconds from the fault until its work was done; None where nothing had to recover.
    recovery_s: float | None
    #: Which invariants did not hold, or what did not happen, in words.
    broken: tuple[str, ...] = ()


class Journal:
    """The runs so far, a JSON line each; a file that is there is gone on with."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.runs: list[Run] = []
        if path is not None and path.exists():
            complete = path.read_bytes().split(b"\n")[:-1]
            self.runs = [msgspec.json.decode(line, type=Run) for line in complete]

    def has(self, case: Case, number: int, seed: int) -> bool:
        """Whether this was played."""
        return any((run.case, run.row, run.round, run.seed) == (case.name, case.row, number, seed) for run in self.runs)

    def keep(self, run: Run) -> None:
        """Another one."""
        self.runs.append(run)
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(run) + b"\n")


class _Grounds:
    """The ground in use, made when it is needed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed, self._count = folder, seed, 0
        self._open = ExitStack()
        self._ground: Ground | None = None

    def get(self, make: Make) -> Ground:
        if self._ground is None:
            self._count += 1
            self._ground = self._open.enter_context(
                make(self._folder / str(self._count), seed=self._seed + self._count)
            )
        return self._ground

    def leave(self) -> list[str]:
        """End it; returns what it left."""
        left = [] if self._ground is None else self._ground.close()
        self._ground = None
        self._open.close()
        return left


@contextmanager
def _grounds(seed: int) -> Iterator[_Grounds]:
    with TemporaryDirectory(prefix="ytempire-faults-", ignore_cleanup_errors=True) as name:
        made = _Grounds(Path(name), seed)
        try:
            yield made
        finally:
            made.leave()


def play(cases: Sequence[Case], *, rounds: int, seed: int, journal: Journal, say: Say) -> list[Run]:
    """Play them all; returns every run, those of the journal too."""
    todo = [(number, case) for number in range(1, rounds + 1) for case in cases if not journal.has(case, number, seed)]
    with _grounds(seed) as grounds:
        for place, (number, case) in enumerate(todo, start=1):
            run = _played(case, number, seed, grounds)
            if run.broken or place == len(todo) or todo[place][1].make is not case.make:
                run = msgspec.structs.replace(run, broken=(*run.broken, *grounds.leave()))
            journal.keep(run)
            recovered = "" if run.recovery_s is None else f", recovered in {run.recovery_s:.1f} s"
            say(f"{place} of {len(todo)}: {case.row:2} {case.name}{recovered}{': BROKEN' if run.broken else ''}")
            for text in run.broken:
                say(f"    {text}")
    return journal.runs


def _played(case: Case, number: int, seed: int, grounds: _Grounds) -> Run:
    began_s, recovery_s = time.monotonic(), None
    try:
        where = grounds.get(case.make)
        where.forget()
        recovery_s = case.play(where)
        where.until_quiet()
        broken = where.broken()
        if recovery_s is not None and recovery_s > case.within_s:
            broken.append(f"I9: its work went on after {recovery_s:.1f} s, not within {case.within_s:g}")
    except (AssertionError, OSError, LookupError, PipelineError, asyncpg.PostgresError) as error:
        broken = [f"{type(error).__name__}: {error}"]
    took_s = time.monotonic() - began_s
    return Run(case.row, case.name, number, seed, round(took_s, 2), recovery_s, tuple(broken))


def cells(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """The head, and a line a row of the matrix; of one that was not played it says so."""
    found: list[tuple[str, ...]] = [
        ("fault", "runs", "lost", "billed twice", "half files", "anything else", "worst recovery, s")
    ]
    for number, title in ROWS.items():
        mine = [run for run in runs if run.row == number]
        worst_s = max((run.recovery_s for run in mine if run.recovery_s is not None), default=None)
        lost, billed, half = (_count(mine, *begins) for begins in (("I1", "Assertion"), ("I2", "I3", "I4"), ("I5",)))
        others = sum(bool(run.broken) for run in mine) - len([run for run in mine if _is_told(run)])
        figures = (str(len(mine)), str(lost), str(billed), str(half), str(others))
        worst = "" if worst_s is None else f"{worst_s:.1f}"
        found.append((f"{number} {title}", *(figures if mine else ("0", "", "", "", "not played")), worst))
    return found


def _is_told(run: Run) -> bool:
    """Whether one of the columns with a name counts it."""
    return any(text.startswith(("I1", "Assertion", "I2", "I3", "I4", "I5")) for text in run.broken)


def _count(runs: Sequence[Run], *begins: str) -> int:
    return sum(any(text.startswith(begins) for text in run.broken) for run in runs)
