"""The audio stage: the narration as one WAV, and when each of its words is spoken."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path

from actors.providers.audio.hibari import Voice
from actors.stage import Task
from schema.documents import Script, Speech


async def synthesise(task: Task) -> Speech:
    """The narration of this video, stored."""
    return await asyncio.to_thread(_synthesise, task)


@cache
def _voice(lexicon: str) -> Voice:
    """The voice, loaded once per process."""
    return Voice(Path(lexicon) if lexicon else None)


def _synthesise(task: Task) -> Speech:
    wav = task.scratch / "voice.wav"
    spoken = _voice(task.settings.providers.voice_lexicon).speak(
        task.claim.input("script", Script), wav, checkpoint=task.checkpoint
    )
    ref = task.artifacts.put(wav, task.artifact_path("voice.wav"))
    return Speech(audio=ref, sample_rate_hz=spoken.sample_rate_hz, duration_s=spoken.duration_s, scenes=spoken.scenes)
