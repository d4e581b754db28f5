"""The media stage: a picture for every scene at least, still or moving: searched for, the user's own, or made."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from actors import child
from actors.providers.chain import Buy
from actors.providers.media import backgrounds, folder
from actors.providers.media.stock import ClipsWanted, Stock
from actors.providers.ports import Clip, Copy, Found
from actors.rendering.order import ClipOrder, Copied
from actors.task import Task
from schema.documents import Footage, Picture, Script, Step
from schema.settings.video import frame_size

#: Pictures are larger than the frame by this much, so that pan and zoom never run out of pixels.
_OVERSIZE = 1.2
#: The shorter side of a clip, in pixels; films of it look soft, but not broken.
LEAST_SIDE = 360


async def collect(task: Task) -> Footage:
    """The pictures of this video, stored."""
    script = task.claim.input("script", Script)
    width, height = (
        2 * round(side * _OVERSIZE / 2) for side in frame_size(task.settings.video, task.claim.brief.aspect)
    )
    found, steps = await _searched(task, script, width, height)
    if missing := [number for number in range(len(script.scenes)) if number not in {one.scene for one in found}]:
        loop = asyncio.get_running_loop()

        def copy(source: Path, target: Path) -> Clip:
            return asyncio.run_coroutine_threadsafe(_copier(task)(source, target), loop).result()

        found += await asyncio.to_thread(_local, task, script, width, height, scenes=missing, copy=copy)
    found.sort(key=lambda one: one.scene)
    return Footage(await asyncio.to_thread(_stored, task, found), made_by=steps)


async def _searched(task: Task, script: Script, width: int, height: int) -> tuple[list[Found], tuple[Step, ...]]:
    """What is searched for, scene by scene, and who did it; scenes without pictures are left to us."""
    stock = Stock(
        script,
        lambda: task.market.downloads,
        task.folder("stock"),
        width=width,
        height=height,
        day=task.today(),
        checkpoint=task.checkpoint,
        clips=ClipsWanted(
            task.settings.providers.clips, _copier(task), *frame_size(task.settings.video, task.claim.brief.aspect)
        ),
    )
    found: list[Found] = []
    steps: list[Step] = []
    for scene in range(len(script.scenes)):
        delivered = await task.deliver("media", partial(_paid, task, stock, scene), _left_to_us)
        found += delivered.result
        steps += (step for step in delivered.steps if step not in steps)
    return found, tuple(steps)


async def _paid(task: Task, stock: Stock, scene: int, name: str, buy: Buy, *, economy: bool) -> list[Found]:
    return await stock.pictures(scene, task.market.finder(name, economy=economy), buy)


async def _left_to_us() -> list[Found]:
    """All that nobody found is made together."""
    return []


def _copier(task: Task) -> Copy:
    """Copies clips in a child process: what was found anywhere is decoded there, where it can harm nobody."""

    async def copy(source: Path, target: Path) -> Clip:
        order = ClipOrder(str(source), str(target), least_side=LEAST_SIDE)
        made = await child.run("clip", order, Copied, task)
        return Clip(Path(made.path), made.width, made.height, made.length_s)

    return copy


def _local(
    task: Task, script: Script, width: int, height: int, *, scenes: list[int], copy: Callable[[Path, Path], Clip]
) -> list[Found]:
    seed = zlib.crc32(task.claim.video.encode())
    wanted = {"width": width, "height": height, "seed": seed}
    if own := task.settings.providers.picture_dir:
        found = folder.find(
            script, Path(own), task.scratch, **wanted, checkpoint=task.checkpoint, scenes=scenes, copy=copy
        )
        if found:
            return found
    return backgrounds.make(script, task.scratch, **wanted, checkpoint=task.checkpoint, scenes=scenes)


def _stored(task: Task, found: list[Found]) -> tuple[Picture, ...]:
    pictures = []
    for number, one in enumerate(found):
        task.checkpoint()
        ref = task.artifacts.put(one.path, task.artifact_path(f"{number:02d}{one.path.suffix}"))
        pictures.append(
            Picture(
                scene=one.scene,
                kind=one.kind,
                artifact=ref,
                width=one.width,
                height=one.height,
                credit=one.credit,
                licence=one.licence,
            )
        )
    return tuple(pictures)
