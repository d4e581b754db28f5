from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from actors import child
from actors.providers.market import Market
from actors.rendering.order import FilmOrder, Rendered
from actors.task import Task
from schema.documents import Brief
from schema.errors import PermanentError, RetryableError
from schema.record.claims import Claim
from schema.settings.environment import Settings
from streams.interrupts import Halted
from streams.process import Process
from tests.integration.processes import PATIENCE_S, until
from tests.unit.rendering.orders import order

LONG, SHORT = (("", "word " * 120),), (("Hearts", "Three hearts."),)
#: Lets the child be this program.
Program = Callable[[str], None]


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    """A process that connects to nothing: a child needs its gate alone."""
    made = Process("render", Settings())
    yield made
    made.transport.close()


@pytest.fixture
async def task(process: Process, tmp_path: Path) -> AsyncIterator[Task]:
    """An attempt at a film; when it is over no child is left."""
    claim = Claim("v", "render", 1, 0, Brief(topic="t"), {}, "")
    (tmp_path / "scratch").mkdir()
    others = _children()
    market = Market(process.postgres, process.artifacts, process.settings, process.clock)
    yield Task(claim, process, tmp_path / "scratch", market)
    assert _children() == others


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Program:
    """Lets the child be another program than the renderer."""
    start = asyncio.create_subprocess_exec

    def install(text: str) -> None:
        async def other(*_command: str, **options: int) -> asyncio.subprocess.Process:
            return await start(sys.executable, "-c", text, **options)  # type: ignore[arg-type] # pipes and a limit

        monkeypatch.setattr(asyncio, "create_subprocess_exec", other)

    return install


def _children() -> set[psutil.Process]:
    return {one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE}


async def _film(task: Task, asked: FilmOrder) -> Rendered:
    return await child.run("film", asked, Rendered, task)


async def _ended(working: Awaitable[object]) -> object:
    """What a run returned or raised; an interrupt is no Exception, and would end the test's loop."""
    try:
        return await working
    except (Halted, PermanentError, RetryableError) as error:
        return error


async def test_a_film_comes_back_as_its_result_and_its_progress_is_kept(task: Task, tmp_path: Path) -> None:
    rendered = await _film(task, order(tmp_path, scenes=SHORT))
    assert rendered.frames > 0
    assert task.progress > 0


async def test_an_order_that_cannot_be_filmed_is_a_permanent_error_with_its_hint(task: Task, tmp_path: Path) -> None:
    asked = order(tmp_path)
    with pytest.raises(PermanentError, match=r"U\+12000") as got:
        await _film(task, replace(asked, script=replace(asked.script, title="𒀀")))
    assert got.value.hint


async def test_what_may_pass_is_a_retryable_error(task: Task, tmp_path: Path) -> None:
    (tmp_path / "no folder").write_text("a file, where the film's folder should be")
    with pytest.raises(RetryableError, match="Not a directory"):
        await _film(task, replace(order(tmp_path), out=str(tmp_path / "no folder" / "film.mp4")))


async def test_a_child_that_is_killed_is_a_retryable_error(task: Task, tmp_path: Path) -> None:
    others = _children()
    working = asyncio.create_task(_ended(_film(task, order(tmp_path, scenes=LONG))))
    await until(lambda: task.progress > 0)
    [running] = _children() - others
    running.kill()
    error = await working
    assert isinstance(error, RetryableError)
    assert "ended with code -9 and left no result" in str(error)


async def test_a_halt_does_not_wait_for_the_frame_that_is_being_encoded(
    task: Task, process: Process, tmp_path: Path, instead: Program
) -> None:
    instead(
        "import signal, time; signal.signal(signal.SIGTERM, lambda *_: time.sleep(5));"
        'print(\'{"frame": 1, "of": 2}\', flush=True); time.sleep(60)'
    )
    working = asyncio.create_task(_ended(_film(task, order(tmp_path))))
    await until(lambda: task.progress > 0)
    began_s = time.monotonic()
    process.gate.set("halted")
    assert isinstance(await working, Halted)
    assert time.monotonic() - began_s < 1


async def test_a_halt_in_the_middle_of_a_film_leaves_nothing_under_its_name(
    task: Task, process: Process, tmp_path: Path
) -> None:
    asked = order(tmp_path, scenes=LONG)
    working = asyncio.create_task(_ended(_film(task, asked)))
    await until(lambda: task.progress > 0)
    process.gate.set("halted")
    assert isinstance(await working, Halted)
    assert "film.mp4" not in await asyncio.to_thread(os.listdir, tmp_path)


async def test_a_child_that_will_not_stop_is_killed(
    task: Task, process: Process, tmp_path: Path, instead: Program
) -> None:
    instead(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        'print(\'{"frame": 1, "of": 2}\', flush=True); time.sleep(60)'
    )
    working = asyncio.create_task(_ended(_film(task, order(tmp_path))))
    await until(lambda: task.progress > 0)
    began_s = time.monotonic()
    process.gate.set("halted")
    assert isinstance(await working, Halted)
    assert time.monotonic() - began_s < PATIENCE_S


async def test_a_librarys_own_words_between_the_lines_change_nothing(
    task: Task, tmp_path: Path, instead: Program
) -> None:
    instead('print(\'[libx264] hello\'); print(\'{"error": {"kind": "permanent", "message": "no"}}\')')
    with pytest.raises(PermanentError, match=r"^no$"):
        await _film(task, order(tmp_path))


async def test_a_child_that_says_nothing_is_a_retryable_error(task: Task, tmp_path: Path, instead: Program) -> None:
    instead("raise SystemExit(3)")
    with pytest.raises(RetryableError, match="ended with code 3 and left no result"):
        await _film(task, order(tmp_path))
