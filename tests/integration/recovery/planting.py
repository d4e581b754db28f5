"""A record with something in it: videos whose stages left files, as the stages leave them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeAlias

import asyncpg
import msgspec

from schema.artifacts import Artifacts
from schema.documents import ArtifactRef, Speech, Verdict
from schema.settings.servers import Servers

_VIDEO = """
INSERT INTO video_queue (id, key, status, topic, brief, processing_started_at, completed_at, ended_at)
VALUES ($1, $1, $2, 't', '{}', now(), CASE WHEN $2 = 'completed' THEN now() - make_interval(days => $3) END,
        CASE WHEN $2 IN ('completed', 'failed') THEN now() - make_interval(days => $3) END)"""
_STAGE = """
INSERT INTO video_stages (video_id, stage, status, attempt, output, ended_at)
VALUES ($1, $2, $3, 1, $4::jsonb, CASE WHEN $4::jsonb IS NOT NULL THEN now() END)"""


#: Name, status and output of each.
Stages: TypeAlias = tuple[tuple[str, str, object], ...]


def servers(folder: Path) -> Servers:
    """Settings whose data directory and backups are in this folder."""
    return Servers(data_dir=str(folder / "data"), backups_dir=str(folder / "backups"))


def stored(settings: Servers, path: str, text: str = "a voice") -> ArtifactRef:
    """A file in the store."""
    source = Path(settings.data_dir).parent / "source"
    source.write_text(text, encoding="utf-8")
    return Artifacts(settings.artifacts_address).put(source, path)


def in_hand(database_url: str, settings: Servers, video: str = "live") -> ArtifactRef:
    """A video whose voice is done and whose render is to come; returns the voice's file."""
    voice = stored(settings, f"work/{video}/audio-1-voice.wav", f"the voice of {video}")
    speech = Speech(audio=voice, sample_rate_hz=24_000, duration_s=1.0, scenes=())
    done: Stages = (("script", "done", {}), ("media", "done", {}), ("audio", "done", speech))
    _plant(database_url, video, "processing", 0, (*done, ("render", "open", None), ("quality", "open", None)))
    return voice


def ended(database_url: str, settings: Servers, video: str, status: str, days_ago: int) -> ArtifactRef:
    """A video that has ended; returns its film, or what it left, where it failed."""
    left = stored(settings, f"work/{video}/audio-1-voice.wav", f"the voice of {video}")
    speech = Speech(audio=left, sample_rate_hz=24_000, duration_s=1.0, scenes=())
    if status == "failed":
        _plant(database_url, video, status, days_ago, (("script", "done", {}), ("audio", "done", speech)))
        return left
    film = stored(settings, f"videos/{video}.mp4", f"the film of {video}")
    verdict = Verdict(passed=True, findings=(), video=film)
    stages: Stages = (("script", "done", {}), ("audio", "done", speech), ("quality", "done", verdict))
    _plant(database_url, video, status, days_ago, stages)
    return film


def rows(database_url: str, statement: str, *arguments: object) -> list[tuple[object, ...]]:
    """Ask, or change, the record as its owner."""

    async def ask() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(database_url)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *arguments)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def _plant(database_url: str, video: str, status: str, days_ago: int, stages: Stages) -> None:
    rows(database_url, _VIDEO, video, status, days_ago)
    for stage, how, output in stages:
        text = None if output is None else msgspec.json.encode(output).decode()
        rows(database_url, _STAGE, video, stage, how, text)
