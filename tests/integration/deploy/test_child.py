from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.launch.child import Backoff, Child
from deploy.launch.output import Output
from deploy.launch.program import Program
from schema.errors import ConfigurationError

QUICK = Backoff(first_s=0.01, longest_s=0.04, steady_after_s=30, hopeless_after=3)


class HandClock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> datetime:
        """A day."""
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic_s(self) -> float:
        """As told."""
        return self.s


class Heard(Output):
    """An output that can be waited for."""

    def __init__(self, log: Path) -> None:
        super().__init__(log, echo=False, name_width=2)
        self.said, self._more = "", asyncio.Event()

    def line(self, name: str, text: str) -> None:
        """Written, and told to who waits."""
        super().line(name, text)
        self.said += f"{text}\n"
        self._more.set()

    async def until(self, words: str, times: int = 1) -> None:
        """Wait until these words were said so often."""
        while self.said.count(words) < times:
            self._more.clear()
            await self._more.wait()


def program(code: str, **options: object) -> Program:
    async def answers() -> bool:
        return False

    given = {"name": "it", "argv": (sys.executable, "-c", code), "environ": {}, "answers": answers, **options}
    return Program(**given)  # type: ignore[arg-type]


def run(work: Callable[[Heard], Coroutine[None, None, None]], log: Path) -> list[str]:
    with Heard(log) as output:
        asyncio.run(asyncio.wait_for(work(output), 30))
    return log.read_text().splitlines()


def test_the_delay_doubles_up_to_its_bound(tmp_path: Path) -> None:
    async def work(output: Heard) -> None:
        child = Child(program("pass"), output, QUICK, HandClock())
        child.start()
        with pytest.raises(ConfigurationError, match="it does not start, it ended 3 times: it said nothing"):
            await child.ready()
        await output.until("starting again", 5)
        await child.stop(5)

    delays = [line.rsplit(" ", 2)[1] for line in run(work, tmp_path / "log")]
    assert delays[:5] == ["0.01", "0.02", "0.04", "0.04", "0.04"]


def test_the_delay_begins_anew_after_a_long_life(tmp_path: Path) -> None:
    clock, lives_s = HandClock(), iter((0, 0, 30, 0, 0, 0, 0, 0))

    def live() -> None:
        clock.s += next(lives_s)

    async def work(output: Heard) -> None:
        child = Child(program("pass", prepare=live), output, QUICK, clock)
        child.start()
        await output.until("starting again", 4)
        await child.stop(5)

    delays = [line.rsplit(" ", 2)[1] for line in run(work, tmp_path / "log")]
    assert delays[:4] == ["0.01", "0.02", "0.01", "0.02"]


def test_one_that_ignores_term_is_killed_after_its_grace(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )

    async def work(output: Heard) -> None:
        child = Child(program(deaf), output, QUICK)
        child.start()
        await output.until("deaf")
        await child.stop(0.1)
        assert child.pid is None

    assert run(work, tmp_path / "log") == ["it | deaf", "it | did not end within 0.1 s: killed"]


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    async def work(output: Heard) -> None:
        missing = Program(name="it", argv=("/no/such/command",), environ={}, answers=program("").answers)
        child = Child(missing, output, QUICK)
        child.start()
        with pytest.raises(ConfigurationError, match="No such file or directory: '/no/such/command'"):
            await child.ready()
        await child.stop(1)

    run(work, tmp_path / "log")


def test_an_endless_line_is_broken_and_not_lost(tmp_path: Path) -> None:
    async def work(output: Heard) -> None:
        child = Child(program("print('x' * 200_000 + 'END')"), output, QUICK)
        child.start()
        with pytest.raises(ConfigurationError):
            await child.ready()
        await child.stop(1)

    said = "".join(line.removeprefix("it | ") for line in run(work, tmp_path / "log"))
    assert said.count("x") >= 600_000
    assert "xEND" in said


def test_stopping_while_it_waits_to_be_started_again_does_not_wait(tmp_path: Path) -> None:
    async def work(output: Heard) -> None:
        child = Child(program("pass"), output, Backoff(first_s=60, longest_s=60))
        child.start()
        await output.until("starting again")
        await child.stop(1)

    run(work, tmp_path / "log")


def test_the_kernel_is_told_to_end_it_with_us() -> None:
    assert program("").orphan_signal == signal.SIGKILL
