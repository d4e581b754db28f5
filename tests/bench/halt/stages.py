"""`python -m tests.bench.halt.stages NAME`: script, media or audio, which leave at once what a long film is made from.

The stage around it is the product's own, and so is the render that uses what they left. The film is too long to end.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from actors.stage import StageActor
from actors.task import Task
from schema import flow
from schema.documents import Footage, Picture, Scene, Script, Speech
from streams import names, worker
from tests.unit.rendering import orders

#: Some four minutes of film.
_SCENES = tuple((f"Part {part}", "Octopuses have three hearts, and two of them rest. " * 20) for part in range(4))


def _script(_: Task) -> Script:
    return Script("A long film", tuple(Scene(narration, heading) for heading, narration in _SCENES))


def _footage(task: Task) -> Footage:
    pictures = []
    for scene in range(len(_SCENES)):
        path = Path(orders.picture(task.scratch / f"{scene}.png", scene))
        stored = task.artifacts.put(path, task.artifact_path(path.name))
        pictures.append(Picture(scene, "still", stored, 640, 360))
    return Footage(tuple(pictures))


def _speech(task: Task) -> Speech:
    told, voice = orders.spoken(_SCENES)
    path = Path(orders.write_wav(task.scratch / "voice.wav", voice))
    stored = task.artifacts.put(path, task.artifact_path(path.name))
    return Speech(stored, orders.VOICE_HZ, voice.size / orders.VOICE_HZ, told)


_LEAVES = {"script": _script, "media": _footage, "audio": _speech}


def main(name: str) -> int:
    """Run one of the three."""
    stage = flow.STAGE[name]

    async def work(task: Task) -> msgspec.Struct:
        return await asyncio.to_thread(_LEAVES[name], task)

    return worker.main(
        name, names.stage_subscription(stage), lambda process: StageActor(process, stage, work), threads=2
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
