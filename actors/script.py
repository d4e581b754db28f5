"""The script stage: words for the film, written by a model or chosen from the notes that came with the topic."""

from __future__ import annotations

import asyncio

import msgspec

from actors.providers.chain import Buy
from actors.providers.ports import ScriptOrder
from actors.providers.script import extractive
from actors.task import Task
from schema.documents import Script


async def write(task: Task) -> Script:
    """The script of this video."""

    async def paid(name: str, buy: Buy, *, economy: bool) -> Script:
        writer = task.market.writer(name, economy=economy)
        return (await buy(writer, ScriptOrder(task.claim.brief), task.folder(name))).result

    async def local() -> Script:
        return await asyncio.to_thread(extractive.write, task.claim.brief)

    delivered = await task.deliver("script", paid, local)
    return msgspec.structs.replace(delivered.result, made_by=delivered.steps)
