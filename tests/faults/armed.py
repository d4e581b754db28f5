"""`python -m tests.faults.armed ORDERS MODULE NAME`: the process NAME, which kills itself where it is ordered to.

An order is a file `NAME.POINT` in the folder ORDERS; it may be there before the process starts, or be put there while
it works. Whoever reaches the point first renames it to `NAME.POINT.reached` and dies, once: the same line may start the
process again. At a point in the middle of a call the process only renames it, and is killed from outside. A point whose
method is gone is refused before anything starts. What a killed process leaves is real: nothing is flushed, closed or
handed back.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from schema.errors import PipelineError
from tests.faults.points import ADAPTER, POINTS, Method, Point, named, resolved

_USAGE = "usage: python -m tests.faults.armed ORDERS MODULE NAME"


def arm(method: Method, point: Point, reached: Callable[[], None]) -> None:
    """From now on `reached` is called whenever `method` is at this point; after one that raised it is not."""
    original: Callable[..., Any] = getattr(method.owner, method.name)

    def enter() -> None:
        if point.moment != "after":
            reached()

    def leave() -> None:
        if point.moment == "after":
            reached()

    @functools.wraps(original)
    async def awaited(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original
        enter()
        result = await original(*args, **options)
        leave()
        return result

    @functools.wraps(original)
    def called(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original
        enter()
        result = original(*args, **options)
        leave()
        return result

    setattr(method.owner, method.name, awaited if inspect.iscoroutinefunction(original) else called)


def order(orders: Path, name: str, point: str) -> Path:
    """Order the process `name` to die at `point`; returns what is there once it has been reached."""
    named(point)
    path = orders / f"{name}.{point}"
    path.touch()
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
        wanted = path.name.removeprefix(f"{name}.").removesuffix(".reached")
        resolved(named(wanted), providers)
    for at, point in POINTS.items():
        if at in unreachable:
            continue

        def reached(path: Path = orders / f"{name}.{at}", moment: str = point.moment) -> None:
            if is_first(path) and moment != "during":
                os.kill(os.getpid(), signal.SIGKILL)

        for method in resolved(point, providers):
            arm(method, point, reached)


def main(orders: str, module: str, name: str) -> int:
    """Run it; returns the exit code where it lives."""
    try:
        _obey(Path(orders), name)
    except (LookupError, PipelineError) as error:
        print(error.args[0], file=sys.stderr)  # noqa: T201 - for a person
        return 2
    code: int = import_module(f"{module}.__main__" if module in ("actors", "guardians") else module).main(name)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 4 else _USAGE)
