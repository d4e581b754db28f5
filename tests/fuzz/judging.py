"""What became of a case: taken, refused with a reason, or one of the things that may not happen.

A refusal is the product's own error with words in it; any other exception is a crash, also one of the test's own that
says which promise was broken. A case that takes longer than its limit is a hang. In a process of its own an alarm ends
it; what holds the interpreter in native code is for whoever started that process.
"""

from __future__ import annotations

import re
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Literal

import msgspec

from schema.errors import PipelineError

_ROOT = Path(__file__).parents[2]
_CASE_CHARS = 600
#: Kept of each kind of finding.
_MOST_FINDINGS = 40

What = Literal["crash", "hang", "silent"]


class TooSlow(BaseException):
    """The case has taken longer than it may."""


class Finding(msgspec.Struct, frozen=True):
    """A case that did what none may; `number` plays it again."""

    row: str
    number: int
    what: What
    said: str
    #: The case itself, or its beginning, and its size in bytes.
    case: str
    size: int

    @property
    def place(self) -> tuple[str, str]:
        """What findings with the same cause have in common: the kind of error, and where."""
        kind, _, words = self.said.partition(": ")
        # the tests' own words say what is wrong, those of libraries only where
        kind += re.sub(r"[0-9]+", "", words[:60]) if kind == "AssertionError" else ""
        return kind, self.said.rpartition(" at ")[2]


class Tally(msgspec.Struct):
    """What became of the cases of a row."""

    row: str
    cases: int = 0
    refused: int = 0
    accepted: int = 0
    crashes: int = 0
    hangs: int = 0
    silent: int = 0
    worst_s: float = 0.0
    peak_mb: float = 0.0
    findings: list[Finding] = []

    def add(self, other: Tally) -> None:
        """Count what another process has counted."""
        for name in ("cases", "refused", "accepted", "crashes", "hangs", "silent"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.worst_s, self.peak_mb = max(self.worst_s, other.worst_s), max(self.peak_mb, other.peak_mb)
        self.findings += other.findings

    @property
    def bad(self) -> int:
        """How many did what none may."""
        return self.crashes + self.hangs + self.silent

    def found(self, number: int, what: What, said: str, case: object) -> str:
        """Count a case that did what none may; returns what it was."""
        match what:
            case "crash":
                self.crashes += 1
            case "hang":
                self.hangs += 1
            case "silent":
                self.silent += 1
        size = len(case) if isinstance(case, bytes) else len(repr(case))
        finding = Finding(self.row, number, what, said, _shown(case), size)
        alike = [one for one in self.findings if one.place == finding.place]
        if not alike and len(self.findings) < _MOST_FINDINGS:
            self.findings.append(finding)
        elif alike and size < alike[0].size:
            self.findings[self.findings.index(alike[0])] = finding
        return said


def judged(
    tally: Tally,
    number: int,
    case: object,
    work: Callable[[], object],
    *,
    limit_s: float,
    alarm: bool = False,
    needs_hint: bool = False,
) -> str:
    """Count what `work` does with the case; returns what it did that it may not, or nothing."""
    begun_s = time.perf_counter()
    said, what = "", None
    try:
        with _alarm(limit_s if alarm else 0.0):
            work()
    except PipelineError as error:
        tally.refused += 1
        if not str(error).strip() or (needs_hint and not error.hint.strip()):
            what, said = "silent", f"{type(error).__name__} without {'words' if not str(error).strip() else 'a hint'}"
    except TooSlow:
        what, said = "hang", f"longer than {limit_s:g} s"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        what, said = "crash", told(error)
    else:
        tally.accepted += 1
    took_s = time.perf_counter() - begun_s
    tally.cases += 1
    tally.worst_s = max(tally.worst_s, took_s)
    if what is None and took_s > limit_s:
        what, said = "hang", f"longer than {limit_s:g} s"
    return tally.found(number, what, said, case) if what else ""  # type: ignore[arg-type] # one of the three


def told(error: BaseException) -> str:
    """An exception with the last place of ours that it came through."""
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_ours(frame.filename)]
    where = f" at {Path(places[-1].filename).relative_to(_ROOT)}:{places[-1].lineno}" if places else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}{where}"


def _is_ours(name: str) -> bool:
    path = Path(name)
    return path.is_relative_to(_ROOT) and ".venv" not in path.parts


def _shown(case: object) -> str:
    words = repr(case)
    return words if len(words) <= _CASE_CHARS else f"{words[:_CASE_CHARS]}... ({len(words)} characters)"


@contextmanager
def _alarm(limit_s: float) -> Iterator[None]:
    if not limit_s:
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
