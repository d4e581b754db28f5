"""How soon the gateway answers beside a working factory: a mix of questions at a fixed rate, and listeners at the feed.

Each question has its moment, whatever became of those before it, and its time counts from that moment: a gateway that
falls behind is not spared the questions that it would have missed. Whoever asks shares the machine with the factory.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from deploy.gateway.submissions import Submitted
from tests.bench.asking import Asker
from tests.bench.bus.cpu import family_cpu_s
from tests.bench.table import Goal, Row, lines, row
from tests.bench.waiting import wait
from tests.factory.running import factory

Say = Callable[[str], None]
_PROCFILE: Final = Path(__file__).with_name("Procfile.gateway")
#: What is asked, in twentieths of all questions.
_MIX: Final = {"health": 5, "overview": 5, "videos": 4, "video": 4, "submit": 2}
_TURNS: Final = tuple(name for name, count in _MIX.items() for _ in range(count))
#: Coprime to the number of turns: kinds follow each other, none comes in a burst.
_STRIDE: Final = 7
_ALL: Final = "all"
_STAGE_S: Final = "0.2"
_FIRST_VIDEOS: Final = 20
_TIMEOUT_S: Final = 10.0
_GOOD: Final = (200, 202)
_P99_MS: Final = Goal("<=", 500)
_NONE: Final = Goal("=", 0)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    rate: int = 200
    duration_s: float = 20.0
    listeners: int = 10


class Load:
    """The questions, and how they were answered."""

    def __init__(self, asker: Asker, options: Options) -> None:
        self._asker, self._options = asker, options
        self.took_ms: dict[str, list[float]] = defaultdict(list)
        self.failed: list[str] = []
        self.heard: list[int] = []
        self._videos: list[str] = []

    async def run(self) -> None:
        """First some videos to ask about, then all questions by the schedule, beside the listeners."""
        for number in range(_FIRST_VIDEOS):
            await self._submit(f"first-{number}")
        self.took_ms.clear()
        feed = [self._asker.count("/live", b"event: ", self.heard) for _ in range(self._options.listeners)]
        listeners = [asyncio.create_task(listener) for listener in feed]
        count = round(self._options.rate * self._options.duration_s)
        async with asyncio.TaskGroup() as asked:
            began_s = time.perf_counter()
            for number in range(count):
                due_s = began_s + number / self._options.rate
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                wait(0)  # ends it where a signal came
                asked.create_task(self._timed(_TURNS[number * _STRIDE % len(_TURNS)], number, due_s))
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)

    async def _timed(self, kind: str, number: int, due_s: float) -> None:
        try:
            if kind == "submit":
                await self._submit(f"key-{number}")
            else:
                path = f"videos/{self._videos[number % len(self._videos)]}" if kind == "video" else kind
                await self._answered(f"/{path}")
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.failed.append(f"{kind}: {type(error).__name__} {error}".strip())
            return
        for name in (kind, _ALL):
            self.took_ms[name].append(1000 * (time.perf_counter() - due_s))

    async def _submit(self, key: str) -> None:
        body = {"topic": f"Rivers {key}", "notes": "Rivers carry water to the sea."}
        answer = await self._answered("/videos", msgspec.json.encode(body), idempotency_key=key)
        self._videos.append(msgspec.json.decode(answer, type=Submitted).video)

    async def _answered(self, path: str, body: bytes | None = None, **headers: str) -> bytes:
        async with asyncio.timeout(_TIMEOUT_S):
            status, answer = await self._asker.ask(path, body, **headers)
        if status not in _GOOD:
            raise ValueError(f"{status} {answer[:80].decode(errors='replace')}")
        return answer


def measure(options: Options, say: Say) -> list[Row]:
    """Measures, says the table, and returns its rows."""
    with TemporaryDirectory(prefix="ytempire-bench-") as folder:
        say("a factory whose stages only wait, and its gateway")
        with factory(Path(folder), procfile=_PROCFILE, environ={"STUB_STAGE_S": _STAGE_S}) as running:
            say(f"{options.rate} questions a second for {options.duration_s:g} s, {options.listeners} listeners")
            (pid,) = [child.pid for child in running.children() if child.cmdline()[-1:] == ["deploy.gateway"]]
            cpu_s, asked_cpu_s = family_cpu_s(pid), time.process_time()
            load = asyncio.run(_asked(running.gateway_port, options))
            cpu_s, asked_cpu_s = family_cpu_s(pid) - cpu_s, time.process_time() - asked_cpu_s
            done = running.statuses().get("completed", 0)
    count = options.rate * options.duration_s
    say(
        f"CPU a question: {1000 * cpu_s / count:.2f} ms of the gateway, {1000 * asked_cpu_s / count:.2f} ms of who asks"
    )
    found = rows(
        load.took_ms, load.failed, f"{done} videos were completed meanwhile, {sum(load.heard):,} messages heard"
    )
    for line in ("", *lines(found)):
        say(line)
    return found


async def _asked(port: int, options: Options) -> Load:
    asker = Asker(port)
    load = Load(asker, options)
    try:
        await load.run()
    finally:
        asker.close()
    return load


def rows(took_ms: dict[str, list[float]], failed: Sequence[str], note: str) -> list[Row]:
    """The p99 of each kind of question and of all, and how many were not answered as they should."""
    found = [
        row(f"{name}: p99", _percentile(took_ms.get(name, ()), 99), "ms", _P99_MS, note=_middle(took_ms.get(name, ())))
        for name in (*_MIX, _ALL)
    ]
    return [*found, row("failures", len(failed), "", _NONE, note="; ".join((note, *sorted(set(failed))[:3])))]


def _percentile(values: Sequence[float], percent: int) -> float | None:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else None


def _middle(values: Sequence[float]) -> str:
    middle = _percentile(values, 50)
    return f"{len(values):,} answers, p50 {middle:.1f} ms, at most {max(values):.0f} ms" if middle else "no answer"
