"""The media stage: at least one picture for every scene, the user's own where they fit, else generated."""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path

from actors.providers.media import backgrounds, folder
from actors.providers.ports import Found
from actors.stage import Task
from schema.documents import Footage, Picture, Script
from schema.settings.video import frame_size

#: Pictures are larger than the frame by this much, so that pan and zoom never run out of pixels.
_OVERSIZE = 1.2


async def collect(task: Task) -> Footage:
    """The pictures of this video, stored."""
    return await asyncio.to_thread(_collect, task)


def _collect(task: Task) -> Footage:
    script = task.claim.input("script", Script)
    pictures = []
    for number, found in enumerate(_find(task, script)):
        task.checkpoint()
        ref = task.artifacts.put(found.path, task.artifact_path(f"{number:02d}{found.path.suffix}"))
        pictures.append(
            Picture(
                scene=found.scene,
                kind="still",
                artifact=ref,
                width=found.width,
                height=found.height,
                credit=found.credit,
                licence=found.licence,
            )
        )
    return Footage(tuple(pictures))


def _find(task: Task, script: Script) -> list[Found]:
    width, height = (
        2 * round(side * _OVERSIZE / 2) for side in frame_size(task.settings.video, task.claim.brief.aspect)
    )
    seed = zlib.crc32(task.claim.video.encode())
    if own := task.settings.providers.picture_dir:
        found = folder.find(
            script, Path(own), task.scratch, width=width, height=height, seed=seed, checkpoint=task.checkpoint
        )
        if found:
            return found
    return backgrounds.make(script, task.scratch, width=width, height=height, seed=seed, checkpoint=task.checkpoint)
