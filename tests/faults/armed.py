"""`python -m tests.faults.armed ORDERS MODULE NAME`: the process NAME, which kills itself where it is ordered to.

An order is a file `NAME.POINT` in the folder ORDERS; it may be there before the process starts, or be put there while
it works. Whoever reaches the point first renames it to `NAME.POINT.reached` and dies, once: the same line may start the
process again. At a point in the middle of a call the process only renames it, and is killed from outside. A point whose
method is gone is refused before anything starts. What a killed process leaves is real: nothing is flushed, closed or
handed back.

An order may say `waits` instead: whoever reaches the point stands still there, and goes on when `NAME.POINT.reached` is
taken away. And a file `clock` in that folder moves the clock that is injected into all these processes by so many
seconds; the servers' clocks, and the one that measures intervals, stay right.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from schema.clock import SystemClock
from schema.errors import PipelineError
from tests.faults.points import ADAPTER, POINTS, Method, Point, named, resolved

_WAITS, _CLOCK, _LOOK_S = "waits", "clock", 0.01
_USAGE = "usage: python -m tests.faults.armed ORDERS MODULE NAME"


#: Called at a point; gives a file for as long as which the caller has to stand still there, or None.
Reached = Callable[[], Path | None]


def arm(method: Method, point: Point, reached: Reached) -> None:
    """From now on `reached` is called whenever `method` is at this point; after one that raised it is not."""
    original: Callable[..., Any] = getattr(method.owner, method.name)
    before, after = (reached, _passed) if point.moment != "after" else (_passed, reached)

    @functools.wraps(original)
    async def awaited(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original
        await _stand_by(before)
        result = await original(*args, **options)
        await _stand_by(after)
        return result

    @functools.wraps(original)
    def called(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original
        _stand_still(before)
        result = original(*args, **options)
        _stand_still(after)
        return result

    setattr(method.owner, method.name, awaited if inspect.iscoroutinefunction(original) else called)


def _passed() -> Path | None:
    return None


async def _stand_by(reached: Reached) -> None:
    held = reached()
    while held is not None and held.exists():  # noqa: ASYNC110 - whoever takes it away is another process
        await asyncio.sleep(_LOOK_S)


def _stand_still(reached: Reached) -> None:
    held = reached()
    while held is not None and held.exists():
        time.sleep(_LOOK_S)


def order(orders: Path, name: str, point: str, *, waits: bool = False) -> Path:
    """Order the process `name` to die at `point`, or to wait; returns what is there once it has been reached."""
    named(point)
    path = orders / f"{name}.{point}"
    made = path.with_name(f"{path.name}.part")
    made.write_text(_WAITS if waits else "", encoding="ascii")
    made.rename(path)
    return reached_path(path)


def reached_path(path: Path) -> Path:
    """What an order becomes."""
    return path.with_name(f"{path.name}.reached")


def is_first(path: Path) -> bool:
    """Take the order; False where there is none, or somebody else has taken it."""
    try:
        path.rename(reached_path(path))
    except FileNotFoundError:
        return False
    return True


def _providers(name: str) -> tuple[str, ...]:
    """Whom this process may ask, by its settings."""
    from schema.settings.environment import read  # noqa: PLC0415 - a wrong point is told without it
    from schema.settings.providers import PAID  # noqa: PLC0415 - likewise

    return next((read().providers.chain(stage) for stage in PAID if stage == name), ())


def _obey(orders: Path, name: str) -> None:
    """Arm every point that this process can reach; raises LookupError where an order can never be carried out."""
    providers = _providers(name)
    unreachable = {at for at, point in POINTS.items() if ADAPTER in point.method and not providers}
    for path in orders.glob(f"{name}.*"):
        wanted = path.name.removeprefix(f"{name}.").removesuffix(".reached").removesuffix(".part")
        resolved(named(wanted), providers)
    for at, point in POINTS.items():
        if at in unreachable:
            continue

        def reached(path: Path = orders / f"{name}.{at}", moment: str = point.moment) -> Path | None:
            if not is_first(path):
                return None
            if reached_path(path).read_text(encoding="ascii") == _WAITS:
                return reached_path(path)
            if moment != "during":
                os.kill(os.getpid(), signal.SIGKILL)
            return None

        for method in resolved(point, providers):
            arm(method, point, reached)


def move_clock(orders: Path, seconds: float) -> None:
    """Move the clock of every process there by so much, from now on."""
    made = orders / f"{_CLOCK}.part"
    made.write_text(f"{seconds}", encoding="ascii")
    made.rename(orders / _CLOCK)


def _follow_clock(orders: Path) -> None:
    """Look at each question for the time whether the clock was moved."""
    right = SystemClock.now

    def now(self: SystemClock) -> datetime:
        try:
            moved_s = float((orders / _CLOCK).read_text(encoding="ascii"))
        except FileNotFoundError:
            moved_s = 0.0
        return right(self) + timedelta(seconds=moved_s)

    SystemClock.now = now  # type: ignore[method-assign] # the one clock that processes are given


def main(orders: str, module: str, name: str) -> int:
    """Run it; returns the exit code where it lives."""
    try:
        _obey(Path(orders), name)
        _follow_clock(Path(orders))
    except (LookupError, PipelineError) as error:
        print(error.args[0], file=sys.stderr)  # noqa: T201 - for a person
        return 2
    code: int = import_module(f"{module}.__main__" if module in ("actors", "guardians") else module).main(name)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 4 else _USAGE)
