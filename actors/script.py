"""The script stage: words for the film, from the notes that came with the topic."""

from __future__ import annotations

import asyncio

from actors.providers.script import extractive
from actors.stage import Task
from schema.documents import Script


async def write(task: Task) -> Script:
    """The script of this video."""
    return await asyncio.to_thread(extractive.write, task.claim.brief)
