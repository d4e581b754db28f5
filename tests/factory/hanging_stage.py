"""`python -m tests.factory.hanging_stage HOW`: the script stage, whose first attempt at a topic "hang" does so, HOW.

thread: native code in a thread, which lets others run. gil: native code that lets no other Python thread run.
stubborn: a coroutine that cannot be cancelled. Its limit is a hundredth of the length that was asked for. Any other
topic waits at checkpoints in its first attempt; every second attempt writes.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import time
from collections.abc import Awaitable, Callable

from actors.stage import StageActor
from actors.task import Task
from schema import flow
from schema.documents import Scene, Script
from streams import names, worker

_LONG_S = 3600


async def _thread() -> None:
    await asyncio.to_thread(time.sleep, _LONG_S)


async def _gil() -> None:
    await asyncio.to_thread(ctypes.PyDLL(None).sleep, _LONG_S)


async def _stubborn() -> None:
    while True:
        try:
            await asyncio.sleep(_LONG_S)
        except asyncio.CancelledError:
            continue


HOW: dict[str, Callable[[], Awaitable[None]]] = {"thread": _thread, "gil": _gil, "stubborn": _stubborn}


def main(how: str) -> int:
    """Run it."""
    stage = flow.STAGE["script"]
    flow.limit_s = lambda _stage, *, length_s, speed: length_s / 100  # type: ignore[assignment] # noqa: ARG005 - of the original

    async def work(task: Task) -> Script:
        if task.claim.attempt == 1 and task.claim.brief.topic == "hang":
            await HOW[how]()
        while task.claim.attempt == 1:
            task.checkpoint()
            await asyncio.sleep(0.01)
        return Script(title="t", scenes=(Scene(narration="n"),))

    return worker.main(
        "script", names.stage_subscription(stage), lambda process: StageActor(process, stage, work), threads=4
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
