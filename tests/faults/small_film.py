"""`python -m tests.faults.small_film NAME`: render and quality on files of a few bytes, so that a film costs nothing.

Everything around the work is the product's own: claims, leases, artifacts, commits, settles. A film tells in its first
and its last bytes whose it is: what is half written, or another video's, is seen.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from actors.stage import StageActor
from actors.task import Task
from schema import flow
from schema.documents import Film, Verdict
from streams import names, worker

_CHECKPOINT_S = 0.01


def content(video: str) -> bytes:
    """What the film of this video is."""
    return f"film of {video}\n".encode() + b"\0" * 200_000 + f"\nend of {video}\n".encode()


async def render(task: Task) -> Film:
    """The small film, stored under its working name."""
    await _wait(task)
    out = task.scratch / "film.mp4"
    await asyncio.to_thread(_write, out, task.claim.video)
    video = task.artifacts.put(out, task.artifact_path("film.mp4"))
    return Film(video, video, width=2, height=2, fps=1, frames=1, duration_s=1.0, encoder="none")


async def _wait(task: Task) -> None:
    """As long as was asked for, with a checkpoint every 10 ms."""
    for _ in range(int(float(os.environ.get("STUB_STAGE_S", "0")) / _CHECKPOINT_S)):
        task.checkpoint()
        await asyncio.sleep(_CHECKPOINT_S)


def _write(out: Path, video: str) -> None:
    out.write_bytes(content(video))


async def check(task: Task) -> Verdict:
    """Its final name."""
    await _wait(task)
    task.checkpoint()
    film = task.claim.input("render", Film)
    with task.artifacts.local(film.video):
        final = task.artifacts.promote(film.video, f"videos/{task.claim.video}.mp4")
    return Verdict(passed=True, findings=(), video=final)


def main(name: str) -> int:
    """Run one of the two."""
    stage, work = flow.STAGE[name], {"render": render, "quality": check}[name]
    return worker.main(
        name, names.stage_subscription(stage), lambda process: StageActor(process, stage, work), threads=2
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
