"""The audio stage: the narration as one WAV, and when each of its words is spoken."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path

from actors.providers.audio import narration
from actors.providers.audio.hibari import Voice
from actors.providers.chain import Buy
from actors.providers.ports import Spoken
from actors.task import Task
from schema.documents import Script, Speech

_WAV = "voice.wav"


async def synthesise(task: Task) -> Speech:
    """The narration of this video, stored."""
    script = task.claim.input("script", Script)
    folders: list[Path] = []

    def folder(name: str) -> Path:
        folders.append(task.folder(name))
        return folders[-1]

    async def paid(name: str, buy: Buy, *, economy: bool) -> Spoken:
        named = task.claim.brief.voice if not folders else "default"
        return await narration.spoken(
            script,
            lambda: task.market.speaker(name, economy=economy or task.mode().models == "economy"),
            buy,
            folder(name),
            voice=named,
            checkpoint=task.checkpoint,
        )

    async def local() -> Spoken:
        voice = await asyncio.to_thread(_voice, task.settings.providers.voice_lexicon)
        return await asyncio.to_thread(voice.speak, script, folder("local") / _WAV, checkpoint=task.checkpoint)

    delivered = await task.deliver("audio", paid, local)
    spoken = delivered.result
    ref = await asyncio.to_thread(task.artifacts.put, folders[-1] / _WAV, task.artifact_path(_WAV))
    return Speech(
        audio=ref,
        sample_rate_hz=spoken.sample_rate_hz,
        duration_s=spoken.duration_s,
        scenes=spoken.scenes,
        made_by=delivered.steps,
    )


@cache
def _voice(lexicon: str) -> Voice:
    """The local voice, loaded once per process."""
    return Voice(Path(lexicon) if lexicon else None)
