"""What the product asks of the machine, answered by the simulation: chance, clocks, the one thread that it starts.

Put in place for one seed and taken out again. What could not be reached so is not hidden: it is in the docstrings of
`workers`, `loop` and `record.tables`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

import structlog

from schema.clock import Clock
from tests.simulation.loop import Loop
from tests.simulation.provider import price_list

_PRICES: Final = price_list()


class _Journal:
    """A journal that nobody reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sent(self, *_: object, **__: object) -> None:
        """Nothing."""

    paid = released = sent


def _threading(loop: Loop) -> SimpleNamespace:
    """As much of `threading` as the gate keeper asks for: its thread is a call that never ends."""

    class Lock:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass

    class Thread:
        def __init__(self, target: Callable[..., None], args: tuple[Any, ...], **_: object) -> None:
            self._work = lambda: target(*args)

        def start(self) -> None:
            loop.run_in_executor(None, self._work)

    return SimpleNamespace(Lock=Lock, Thread=Thread)


@contextmanager
def in_place(
    loop: Loop,
    clock: Clock,
    seed: int,
    *,
    told: Callable[[str, dict[str, Any]], None],
    surely_dead: Callable[[str], bool],
    end_process: Callable[..., None],
) -> Iterator[None]:
    """For one seed."""
    chance = random.Random(seed)  # noqa: S311 - the same each time is what is wanted
    state, config = random.getstate(), structlog.get_config()

    def hear(_logger: object, _method: str, event: Any) -> str:  # noqa: ANN401 - as structlog has it
        told(event.pop("event"), event)
        raise structlog.DropEvent

    patches = (
        mock.patch("os.urandom", chance.randbytes),
        mock.patch("random._urandom", chance.randbytes),
        mock.patch("streams.observer.monotonic", loop.time),
        mock.patch("streams.control.threading", _threading(loop)),
        mock.patch("actors.task.hangs.end_process", end_process),
        mock.patch("actors.providers.purchase.Prices", lambda _: _PRICES),
        mock.patch("actors.providers.purchase.Journal", _Journal),
        mock.patch("actors.providers.retries.SystemClock", lambda: clock),
        mock.patch("actors.stage.consumers.surely_dead", surely_dead),
    )
    with _all(patches):
        random.seed(seed)
        structlog.configure(processors=[structlog.contextvars.merge_contextvars, hear], cache_logger_on_first_use=False)
        try:
            yield
        finally:
            structlog.configure(**config)
            random.setstate(state)


@contextmanager
def _all(patches: tuple[Any, ...]) -> Iterator[None]:
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


_ = os
