"""Plays cases one after the other, each followed by every invariant; keeps a journal, so that it can go on.

A ground that broke an invariant, or on which something did not end, is left: the next case has a fresh one; so is one
that the next case cannot be played on. What tests of their own show needs none.
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
from tests.faults import journals
from tests.faults.case import Case, Needs, Play
from tests.faults.ground import Ground, ground
from tests.faults.matrix import ROWS, shown
from tests.faults.releases import upgrading

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
    #: What the case has measured, in words.
    figures: tuple[str, ...] = ()


class Journal:
    """The runs so far, a JSON line each; a file that is there is gone on with."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.runs: list[Run] = [] if path is None else journals.kept(path, Run)

    def has(self, case: Case, number: int, seed: int) -> bool:
        """Whether this was played."""
        return any((run.case, run.row, run.round, run.seed) == (case.name, case.row, number, seed) for run in self.runs)

    def keep(self, run: Run) -> None:
        """Another one."""
        self.runs.append(run)
        if self._path is not None:
            journals.add(self._path, run)


class _Grounds:
    """The ground in use, made when it is needed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed, self._count = folder, seed, 0
        self._open = ExitStack()
        self._ground: Ground | None = None
        self._needs = Needs()

    def get(self, needs: Needs) -> Ground:
        if self._ground is not None and needs != self._needs:
            self.leave()
        if self._ground is None:
            self._count += 1
            self._needs = needs
            folder, seed = self._folder / str(self._count), self._seed + self._count
            made = (
                upgrading(folder, seed=seed)
                if needs.releases
                else ground(folder, seed=seed, environ=dict(needs.environ), proxies=needs.proxies)
            )
            self._ground = self._open.enter_context(made)
        return self._ground

    def serves(self, cases: Sequence[Case]) -> bool:
        """Whether the one that is there is what the next case that needs one needs."""
        return next((case.needs == self._needs for case in cases if case.play is not None), False)

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
    todo = [
        (number, case)
        for number in range(1, rounds + 1)
        for case in cases
        if not journal.has(case, number, seed) and not (case.once and number > 1)
    ]
    with _grounds(seed) as grounds:
        for place, (number, case) in enumerate(todo, start=1):
            run = _played(case, number, seed, grounds)
            if run.broken or not grounds.serves([case for _, case in todo[place:]]):
                run = msgspec.structs.replace(run, broken=(*run.broken, *grounds.leave()))
            journal.keep(run)
            recovered = "" if run.recovery_s is None else f", recovered in {run.recovery_s:.1f} s"
            say(f"{place} of {len(todo)}: {case.row:2} {case.name}{recovered}{': BROKEN' if run.broken else ''}")
            for text in (*run.figures, *run.broken):
                say(f"    {text}")
    return journal.runs


def _played(case: Case, number: int, seed: int, grounds: _Grounds) -> Run:
    began_s = time.monotonic()
    recovery_s, broken, figures = None, list[str](), tuple[str, ...]()
    try:
        if case.play is None:
            shown(case.row)
        else:
            where = grounds.get(case.needs)
            where.forget()
            try:
                recovery_s = _asked(case.play, where, broken)
            finally:
                figures = tuple(where.figures)
        if recovery_s is not None and recovery_s > case.within_s:
            broken.append(f"I9: its work went on after {recovery_s:.1f} s, not within {case.within_s:g}")
    except (AssertionError, OSError, LookupError, PipelineError, asyncpg.PostgresError) as error:
        broken = [f"{type(error).__name__}: {error}"]
    took_s = time.monotonic() - began_s
    return Run(case.row, case.name, number, seed, round(took_s, 2), recovery_s, tuple(broken), figures)


def _asked(play: Play, where: Ground, broken: list[str]) -> float | None:
    """Play it, and ask every invariant once all is quiet."""
    recovery_s = play(where)
    where.until_quiet()
    broken += where.broken()
    return recovery_s


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
