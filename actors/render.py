"""The render stage: the film, made by a child process from what script, media and audio left.

What is encoded is kept until the film is stored, so that an attempt after a halt or a kill goes on with it.
"""

from __future__ import annotations

import shutil
import zlib
from contextlib import ExitStack

import structlog

from actors import child
from actors.gpu_memory import GpuMemory
from actors.rendering.order import SRT, THUMBNAIL, VTT, FilmOrder, Rendered
from actors.task import Task
from schema.documents import Film, Footage, Script, Speech
from schema.settings.video import as_in
from schema.telemetry import metrics

_log = structlog.get_logger(__name__)


async def render(task: Task) -> Film:
    """The film of this video, stored under its working name."""
    footage, speech = task.claim.input("media", Footage), task.claim.input("audio", Speech)
    out, plan, parts = task.scratch / "film.mp4", task.scratch / "plan.json", task.kept_folder("parts")
    with ExitStack() as open_files:
        order = FilmOrder(
            script=task.claim.input("script", Script),
            footage=footage,
            speech=speech,
            pictures=tuple(
                str(open_files.enter_context(task.artifacts.local(picture.artifact))) for picture in footage.pictures
            ),
            voice=str(open_files.enter_context(task.artifacts.local(speech.audio))),
            aspect=task.claim.brief.aspect,
            video=as_in(task.settings.video, task.mode()),  # frozen here: a film has one size from end to end
            out=str(out),
            plan_out=str(plan),
            seed=zlib.crc32(task.claim.video.encode()),
            style=task.claim.brief.style,
            parts=str(parts),
            date=task.today(),
        )
        with GpuMemory(task) as memory:
            rendered = await child.run("film", order, Rendered, task, hears=memory.heard, tells=memory.lines)
    metrics.RENDERS.labels(rendered.backend, rendered.encoder).inc()
    if rendered.fallback:
        metrics.RENDER_FALLBACKS.labels(rendered.fallback_cause).inc()
        _log.warning("render.fallback", encoder=rendered.encoder, cause=rendered.fallback_cause, why=rendered.fallback)
    for note in rendered.notes:
        _log.warning("render.note", note=note)
    if rendered.frames_found:
        _log.info("render.resumed", frames_found=rendered.frames_found, frames=rendered.frames)
    film = Film(
        video=task.artifacts.put(out, task.artifact_path("film.mp4")),
        plan=task.artifacts.put(plan, task.artifact_path("plan.json")),
        width=rendered.width,
        height=rendered.height,
        fps=rendered.fps,
        frames=rendered.frames,
        duration_s=rendered.duration_s,
        encoder=rendered.encoder,
        fallback=rendered.fallback,
        backend=rendered.backend,
        beside=tuple(
            task.artifacts.put(path, task.artifact_path(path.name))
            for path in map(out.with_suffix, (SRT, VTT, THUMBNAIL))
            if path.exists()
        ),
    )
    shutil.rmtree(parts, ignore_errors=True)
    return film
