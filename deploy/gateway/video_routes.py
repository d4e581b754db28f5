"""Videos by HTTP: asking for one, the list, the story of one, and its files.

Every file of a finished video is served by a name of ours (`film`, `srt`, `vtt`, `thumbnail`, `sheet`), from what the
record says of it; a video that is not finished has at most a `draft`.
"""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Final, TypeVar

import msgspec
from litestar import Response, get, post, route
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from deploy.gateway import files, reading, submissions
from deploy.gateway.described import WithRequest, refusals
from deploy.gateway.parts import Parts
from deploy.gateway.patience import soon
from deploy.gateway.reading import Asked
from deploy.gateway.routes import Limit, parts_of
from schema.documents import ArtifactRef, Film, Verdict
from schema.errors import RefusedError
from schema.money.statement import Call
from schema.record.glance import Biography
from schema.record.postgres import storable
from schema.record.videos import VideoRow, Wanted
from schema.wire import shown

_STATUSES: Final = ("waiting", "queued", "processing", "completed", "failed", "cancelled")
#: By what comes after the last dot: the name in the URL, and the type.
_KINDS: Final = {
    ".mp4": ("film", "video/mp4"),
    ".srt": ("srt", "application/x-subrip"),
    ".vtt": ("vtt", "text/vtt; charset=utf-8"),
    ".jpg": ("thumbnail", "image/jpeg"),
    ".png": ("sheet", "image/png"),
}
_PARTIAL: Final = {
    206: ResponseSpec(bytes, generate_examples=False, description="The range", media_type="video/mp4"),
    304: ResponseSpec(None, description="It is what If-None-Match names"),
}


DocumentT = TypeVar("DocumentT", Verdict, Film)


class VideoStory(msgspec.Struct, frozen=True):
    """All there is of one video."""

    video: Biography
    calls: list[Call]
    files: dict[str, str]


@post("/videos", status_code=202, responses=refusals(400, 413, 422, 429), operation_class=WithRequest)
async def submit(state: State, request: Asked) -> Response[submissions.Submitted]:
    """Ask for a video: the fields of stream:intake as JSON, or a CloudEvent. Idempotency-Key names the request.

    202: it is in the record, under this name and at this place in the queue. 400: not JSON, 422: refused, with the
    reason; 429: the queue is full, come back later; 503: nobody answered, send it again with the same key.
    """
    parts = parts_of(state)
    body = await reading.body(request, submissions.most_bytes(parts))
    headers = {name.lower(): value for name, value in request.headers.items()}
    made = await submissions.submit(parts, submissions.fields_of(body, headers))
    return Response(made, status_code=202, headers={"location": f"/videos/{made.video}"})


@get("/videos", responses=refusals(400, 422))
async def videos(
    state: State,
    status: FromQuery[str] = "",
    topic: FromQuery[str] = "",
    limit: Limit = 50,
) -> list[VideoRow]:
    """Videos, the newest first; `status` and words of the topic narrow it down."""
    if status and status not in _STATUSES:
        raise RefusedError(
            f"status is {shown(status)!r}: expected {', '.join(_STATUSES)}", hint="/videos?status=failed"
        )
    wanted = Wanted(statuses=(status,) if status else (), topic=storable(topic))
    return await soon(parts_of(state).videos.wanted(wanted, most=limit))


@get("/videos/{video:str}", responses=refusals(400, 404))
async def video(state: State, video: FromPath[str]) -> VideoStory:
    """One video: what was asked, each attempt of each stage, each call that was paid, what came out, its files."""
    parts = parts_of(state)
    found = await _found(parts, video)
    calls = await soon(parts.statement.calls(found.video))
    links = {name: f"/videos/{found.video}/{name}" for name in files_of(found)}
    return VideoStory(found, calls, links)


@route(
    "/videos/{video:str}/{name:str}",
    http_method=["GET", "HEAD"],
    responses=refusals(400, 404, 416) | _PARTIAL,
    media_type="application/octet-stream",
)
async def video_file(
    state: State, request: Asked, video: FromPath[str], name: FromPath[str], *, download: FromQuery[bool] = False
) -> Stream:
    """A file of a finished video (film, srt, vtt, thumbnail, sheet), whole or a range of it."""
    parts = parts_of(state)
    there = files_of(await _found(parts, video))
    if name not in there:
        has = ", ".join(there) or "no file yet"
        raise NotFoundException(f"{video} has no {shown(name)!r}: it has {has}")
    ref, kind = there[name]
    etag = files.etag(ref)
    if request.headers.get("if-none-match") == etag:
        return Stream(iter(()), status_code=304, headers={"etag": etag}, media_type=kind)
    asked = request.headers.get("range", "") if request.headers.get("if-range", etag) == etag else ""
    part = files.span(asked, ref.size_bytes) if asked else None
    suffix = PurePosixPath(ref.path).suffix
    sent = files.headers(ref, part, kind=kind, name=f"{video}{suffix}", download=download)
    opened = await asyncio.to_thread(parts.process.artifacts.opened, ref)
    if request.method == "HEAD":
        opened.close()
        return Stream(iter(()), status_code=200 if part is None else 206, headers=sent, media_type=kind)
    return Stream(files.blocks(opened, part), status_code=200 if part is None else 206, headers=sent, media_type=kind)


async def _found(parts: Parts, video: str) -> Biography:
    found = await soon(parts.glance.biography(storable(video)))
    if found is None:
        raise NotFoundException(f"there is no video {shown(video)!r}")
    return found


def files_of(video: Biography) -> dict[str, tuple[ArtifactRef, str]]:
    """What can be fetched, by the name in its URL; where quality found fault, the film that it looked at."""
    verdict = _read(video, "quality", Verdict)
    if verdict is not None and verdict.video is not None:
        refs = (verdict.video, *verdict.beside)
        return {_KINDS[kind][0]: (ref, _KINDS[kind][1]) for ref in refs if (kind := _kind(ref)) in _KINDS}
    film = _read(video, "render", Film)
    return {"draft": (film.video, "video/mp4")} if film is not None else {}


def _read(video: Biography, stage: str, kind: type[DocumentT]) -> DocumentT | None:
    """What a stage left; None: nothing, or what another version of us, or a test, has left there."""
    try:
        return msgspec.json.decode(video.documents[stage], type=kind)
    except (KeyError, msgspec.DecodeError):
        return None


def _kind(ref: ArtifactRef) -> str:
    return PurePosixPath(ref.path).suffix


HANDLERS: Final[list[BaseRouteHandler]] = [submit, videos, video, video_file]
