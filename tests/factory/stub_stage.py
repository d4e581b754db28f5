"""`python -m tests.factory.stub_stage NAME`: a real stage actor whose work is to wait, with a checkpoint every 10 ms.

Everything around the work is the product's own: claims, leases, commits, settles. STUB_STAGE_S says how long it waits,
STUB_THREADS how many such pieces of work it does at once.
"""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from actors.stage import StageActor
from actors.task import Task
from schema import flow
from schema.documents import Scene, Script
from streams import names, worker

_CHECKPOINT_S = 0.01


async def wait(task: Task) -> msgspec.Struct:
    """Wait as long as was asked for; the same small document for every stage."""
    for _ in range(int(float(os.environ.get("STUB_STAGE_S", "0")) / _CHECKPOINT_S)):
        task.checkpoint()
        await asyncio.sleep(_CHECKPOINT_S)
    return Script(title=task.claim.brief.topic, scenes=(Scene(narration="stub"),))


def main(name: str) -> int:
    """Run the stub of one stage."""
    stage = flow.STAGE[name]
    threads = int(os.environ.get("STUB_THREADS", "8"))
    return worker.main(
        name, names.stage_subscription(stage), lambda process: StageActor(process, stage, wait), threads=threads
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
