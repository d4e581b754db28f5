"""Plays a row in a process of its own: bounded in memory, watched from outside, started again behind what ended it.

`python -m tests.fuzz.playing ROW SEED FIRST CASES CAP_MB FD`: plays numbers from FIRST on until so many cases were
judged, and says on FD which number it is at and what it has counted. A number that native code holds on to, or that
takes the process with it, is told by the parent, which alone is left to tell it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

import msgspec

from tests.bench import waiting
from tests.fuzz.judging import Tally

_ROOT: Final = Path(__file__).parents[2]
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
#: A process that has counted so many cases gives way to a fresh one, whose peak is its own.
_CASES_A_PROCESS: Final = 20_000
_TOLD_EVERY_S: Final = 0.5
_ENDS_WITHIN_S: Final = 60.0
_READY_WITHIN_S: Final = 90.0


class Player(Protocol):
    """Whoever judges the cases of a row."""

    def play(self, seed: int, number: int, tally: Tally, *, alarm: bool) -> None:
        """Judge those of one number."""


class Row(msgspec.Struct, frozen=True):
    """A row of the table: its share of 100,000 cases, and what bounds it."""

    name: str
    group: str
    share: int
    #: What a process may take beyond what it has when it is ready, MB of addresses.
    most_mb: int
    #: What one number may take in native code, and a batch of them at all, seconds: on a machine that others use, too.
    limit_s: float = 300.0


ROWS: Final = (
    Row("intake", "events", 16_000, 256),
    Row("control", "events", 12_000, 256),
    Row("facts", "events", 5_000, 256),
    Row("cloudevents", "events", 10_000, 256),
    Row("bus", "events", 2_000, 512, 900.0),
    Row("openapi", "http", 1_500, 768, 900.0),
    Row("sockets", "http", 4_500, 768),
    Row("openai", "answers", 7_000, 512),
    Row("pexels", "answers", 7_000, 512),
    Row("elevenlabs", "answers", 7_000, 512),
    Row("google", "answers", 7_000, 512),
    Row("wire", "answers", 2_000, 512),
    Row("pictures", "media", 7_000, 1536),
    Row("clips", "media", 5_000, 1536),
    Row("sounds", "media", 3_000, 1024),
    Row("films", "media", 1_000, 1024),
    Row("files", "media", 3_000, 1024),
)


class Line(msgspec.Struct):
    """What a process says: the number that it is at, or what it has counted since it last said so."""

    at: int | None = None
    counted: Tally | None = None


def opened(row: str, folder: Path) -> AbstractContextManager[Player]:
    """Who plays the row, at work in this folder; loads what the row needs and no more."""
    group = next(one.group for one in ROWS if one.name == row)
    if row == "bus":
        from tests.fuzz.bus import bus  # noqa: PLC0415 - see above

        return bus(folder)
    match group:
        case "events":
            from tests.fuzz import events  # noqa: PLC0415 - likewise

            return contextlib.nullcontext(_Entries(partial(events.play, row)))
        case "http":
            from tests.fuzz.gateway import asking  # noqa: PLC0415 - likewise

            return asking(row, folder)
        case "answers":
            from tests.fuzz.answers import reader  # noqa: PLC0415 - likewise

            return reader(row, folder)
        case _:
            from tests.fuzz.media import desk  # noqa: PLC0415 - likewise

            return desk(row, folder)


class _Entries:
    """Entries need nothing that would have to be opened."""

    def __init__(self, play: Callable[..., None]) -> None:
        self._play = play

    def play(self, seed: int, number: int, tally: Tally, *, alarm: bool) -> None:
        """Judge a batch."""
        self._play(seed, number, tally, alarm=alarm)


def played(row: Row, seed: int, cases: int, *, first: int = 0, say: Callable[[str], None]) -> Tally:
    """Judge so many cases from this number on, in as many processes as that takes."""
    total, number = Tally(row.name), first
    while total.cases < cases:
        before, last = total.cases, number
        number = _in_a_process(row, seed, number, min(cases - total.cases, _CASES_A_PROCESS), total)
        say(f"{row.name}: {total.cases:,} of {cases:,} cases, {total.bad} bad")
        if total.cases == before and number == last:
            raise RuntimeError(f"the process of {row.name} ends before it begins")
    return total


def _in_a_process(row: Row, seed: int, first: int, cases: int, total: Tally) -> int:
    """Play in one process until it ends, or is ended; returns the number to go on with."""
    hears, says = os.pipe()
    command = (sys.executable, "-m", "tests.fuzz.playing", row.name, str(seed), str(first), str(cases), str(says))
    with subprocess.Popen(
        command,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        pass_fds=(says,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(says)
        told: queue.Queue[Line | None] = queue.Queue()
        errors: list[bytes] = []
        readers = [
            threading.Thread(target=_hear, args=(hears, told)),
            threading.Thread(target=_keep_end, args=(process, errors)),
        ]
        for reader in readers:
            reader.start()
        at, limit_s = first, _READY_WITHIN_S
        said = ""
        try:
            while (line := told.get(timeout=limit_s)) is not None:
                at, limit_s = at if line.at is None else line.at, row.limit_s
                if line.counted is not None:
                    total.add(line.counted)
        except queue.Empty:
            said = f"nothing for {limit_s:g} s"
            process.kill()
        try:
            code = process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        for reader in readers:
            reader.join(_ENDS_WITHIN_S)
    waiting.wait(0)  # whoever ends this ends that one, too, and it is no finding
    if said or code:
        total.cases += 1
        end = b"".join(errors).decode(errors="replace").strip().splitlines()[-1:]
        total.found(at, "hang" if said else "crash", said or f"the process ended with {code}: {''.join(end)}", "")
    return at + 1


def _hear(descriptor: int, told: queue.Queue[Line | None]) -> None:
    with os.fdopen(descriptor, "rb") as lines:
        for text in lines:
            told.put(msgspec.json.decode(text, type=Line))
    told.put(None)


def _keep_end(process: subprocess.Popen[bytes], kept: list[bytes]) -> None:
    assert process.stderr is not None
    for text in process.stderr:
        kept.append(text)
        del kept[:-20]


def main(arguments: list[str]) -> int:
    """Play in this process."""
    name, seed, number, cases, says = arguments[0], *map(int, arguments[1:])
    row = next(one for one in ROWS if one.name == name)
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with (
        os.fdopen(says, "wb", buffering=0) as speaks,
        TemporaryDirectory(prefix="ytempire-fuzz-", dir=place) as folder,
        opened(name, Path(folder)) as player,
    ):
        player.play(seed, number, Tally(name), alarm=True)  # what it loads now is no case's
        _bound(row.most_mb)
        done, fresh, told_s = 0, Tally(name), time.monotonic()
        while done < cases:
            _say(speaks, Line(at=number))
            before = fresh.cases
            player.play(seed, number, fresh, alarm=True)
            done, number = done + fresh.cases - before, number + 1
            if time.monotonic() - told_s > _TOLD_EVERY_S or done >= cases or fresh.bad:
                fresh.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                _say(speaks, Line(counted=fresh))
                fresh, told_s = Tally(name), time.monotonic()
    return 0


def _bound(most_mb: int) -> None:
    """No more memory than it has, and so much."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + (most_mb << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _say(speaks: object, line: Line) -> None:
    speaks.write(msgspec.json.encode(line) + b"\n")  # type: ignore[attr-defined] # a raw file


def chosen(only: str) -> Iterator[Row]:
    """The rows of these names or groups; all where none is named. Raises ValueError for one that is none."""
    words = only.replace(",", " ").split()
    known = {row.name for row in ROWS} | {row.group for row in ROWS}
    for word in words:
        if word not in known:
            raise ValueError(f"got {word!r}; expected {', '.join(sorted(known))}")
    yield from (row for row in ROWS if not words or row.name in words or row.group in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
