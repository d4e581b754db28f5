"""`python -m tests.faults.armed POINT MARKER NAME`: the actor NAME, which kills itself at the POINT, once.

MARKER is a file that is made when the point is reached for the first time; whoever finds it there lives on, so the same
line may start the actor again. At a point in the middle of a call the process only makes the file, and is killed from
outside. A point that cannot be found is refused before anything starts. What a killed process leaves is real: nothing
is flushed, closed or handed back.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schema.errors import PipelineError
from tests.faults.points import Method, Point, named, resolved

_USAGE = "usage: python -m tests.faults.armed POINT MARKER NAME"


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


def is_first(marker: Path) -> bool:
    """Make the marker; False where it is there already, whoever made it."""
    try:
        os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


def _providers(name: str) -> tuple[str, ...]:
    """Whom this actor may ask, by its settings."""
    from schema.settings.environment import read  # noqa: PLC0415 - a wrong point is told without it
    from schema.settings.providers import PAID  # noqa: PLC0415 - likewise

    return next((read().providers.chain(stage) for stage in PAID if stage == name), ())


def main(point_name: str, marker: str, actor: str) -> int:
    """Run it; returns the exit code where it lives."""
    try:
        point = named(point_name)
        methods = resolved(point, _providers(actor))
    except (LookupError, PipelineError) as error:
        print(error.args[0], file=sys.stderr)  # noqa: T201 - for a person
        return 2

    def reached() -> None:
        if is_first(Path(marker)) and point.moment != "during":
            os.kill(os.getpid(), signal.SIGKILL)

    for method in methods:
        arm(method, point, reached)
    from actors.__main__ import main as act  # noqa: PLC0415 - only once it is armed

    return act(actor)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 4 else _USAGE)
