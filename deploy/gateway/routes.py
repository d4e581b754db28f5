"""Every URL of the gateway. What a route does is in the module it calls; here is where it is found and how it answers.

JSON in the words of the record; an error is `{"error": ..., "hint": ...}` with a status that fits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post, route
from litestar.datastructures import Cookie, State
from litestar.exceptions import ClientException, NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter
from litestar.response import ServerSentEvent, ServerSentEventMessage, Stream

from deploy import overview
from deploy.gateway import commanding, files, health, submissions
from deploy.gateway.access import COOKIE, Access
from deploy.gateway.parts import Parts, soon
from schema.documents import ArtifactRef, Film, Verdict
from schema.errors import RefusedError
from schema.money.statement import Call
from schema.record.glance import Biography
from schema.record.videos import VideoRow, Wanted
from schema.wire import shown
from streams import names

CONSOLE: Final = Path(__file__).parents[1] / "console"
_STATUSES: Final = ("waiting", "queued", "processing", "completed", "failed", "cancelled")
Asked = Request[Any, Any, State]
Limit = Annotated[int, Parameter(ge=1, le=1000)]


def parts_of(state: State) -> Parts:
    """What the routes work with."""
    parts: Parts = state.parts
    return parts


# ---- health: the runbook's URLs


@get("/livez", sync_to_thread=False)
def livez(state: State) -> Response[dict[str, str]]:
    """Whether this process consumes: it read the streams a moment ago."""
    consumes = parts_of(state).live.consumes
    return Response({"status": "ok" if consumes else "not consuming"}, status_code=200 if consumes else 503)


@get("/readyz")
async def readyz(state: State) -> Response[health.Health]:
    """Whether it can do something useful: Postgres and Redis answer."""
    return await _healthy(state)


@get("/health")
async def healthy(state: State) -> Response[health.Health]:
    """The runbook's components in short."""
    return await _healthy(state)


async def _healthy(state: State) -> Response[health.Health]:
    found = await health.health(parts_of(state))
    return Response(found, status_code=200 if found.status == "ok" else 503)


@get("/health/detailed")
async def health_detailed(state: State) -> health.Detailed:
    """Components, gate, queue, processes, guardians and key figures."""
    return await health.detailed(parts_of(state))


@get("/metrics/daily")
async def metrics_daily(state: State) -> health.Daily:
    """Yesterday and today so far: videos, times, money."""
    return await health.daily(parts_of(state))


@get("/resources/gpu/status")
async def gpu_status(state: State) -> health.GpuStatus:
    """The cards, as the gpu guardian sees them."""
    return await health.gpu(parts_of(state))


# ---- control


@post("/pipeline/emergency/halt", status_code=200)
async def emergency_halt(state: State, request: Asked) -> dict[str, str]:
    """Stop everything now. A body of JSON may carry a reason; a body that is none still halts."""
    return await commanding.give(
        parts_of(state), {"type": "halt", "by": commanding.BY, "reason": await _reason(request)}
    )


@post("/pipeline/pause", status_code=200)
async def pause(state: State, request: Asked) -> dict[str, str]:
    """Finish what runs, take nothing new."""
    return await commanding.give(
        parts_of(state), {"type": "pause", "by": commanding.BY, "reason": await _reason(request)}
    )


@post("/pipeline/resume", status_code=200)
async def resume(state: State, request: Asked) -> dict[str, str]:
    """Lift all holds."""
    return await commanding.give(
        parts_of(state), {"type": "resume", "by": commanding.BY, "reason": await _reason(request)}
    )


@post("/control", status_code=200)
async def control(state: State, request: Asked) -> dict[str, str]:
    """Any command of stream:control, its fields as a JSON object, such as `{"type": "mode", "mode": "economy"}`."""
    told = await _object(request)
    fields = {str(name): str(value) for name, value in told.items() if value not in (None, "")}
    return await commanding.give(parts_of(state), {"by": commanding.BY, **fields})


# ---- videos


@post("/videos")
async def submit(state: State, request: Asked) -> Response[submissions.Submitted]:
    """Ask for a video: the fields of stream:intake as JSON, or a CloudEvent. Idempotency-Key names the request.

    202: it is in the record, under this name and at this place in the queue. 400: not JSON, 422: refused, with the
    reason; 429: the queue is full, come back later; 503: nobody answered, send it again with the same key.
    """
    parts = parts_of(state)
    body = await _body(request, submissions.most_bytes(parts))
    headers = {name.lower(): value for name, value in request.headers.items()}
    made = await submissions.submit(parts, submissions.fields_of(body, headers))
    return Response(made, status_code=202, headers={"location": f"/videos/{made.video}"})


@get("/videos")
async def videos(
    state: State,
    status: str = "",
    topic: str = "",
    limit: Limit = 50,
) -> list[VideoRow]:
    """Videos, the newest first; `status` and words of the topic narrow it down."""
    if status and status not in _STATUSES:
        raise RefusedError(f"status is {status!r}: expected {', '.join(_STATUSES)}", hint="/videos?status=failed")
    wanted = Wanted(statuses=(status,) if status else (), topic=topic)
    return await soon(parts_of(state).videos.wanted(wanted, most=limit))


class VideoStory(msgspec.Struct, frozen=True):
    """All there is of one video."""

    video: Biography
    calls: list[Call]
    files: dict[str, str]


@get("/videos/{video:str}")
async def video(state: State, video: str) -> VideoStory:
    """One video: what was asked, each attempt of each stage, each call that was paid, what came out, its files."""
    parts = parts_of(state)
    found = await _found(parts, video)
    calls = await soon(parts.statement.calls(video))
    links = {name: f"/videos/{video}/{name}" for name in _files_of(found)}
    return VideoStory(found, calls, links)


@route("/videos/{video:str}/{name:str}", http_method=["GET", "HEAD"])
async def video_file(state: State, request: Asked, video: str, name: str, *, download: bool = False) -> Stream:
    """A file of a finished video (film, captions, thumbnail, sheet), whole or a range of it."""
    parts = parts_of(state)
    there = _files_of(await _found(parts, video))
    if name not in there:
        has = ", ".join(there) or "no file yet"
        raise NotFoundException(f"{video} has no {name!r}: it has {has}")
    ref, kind = there[name]
    asked = request.headers.get("range", "")
    etag = f'"{ref.sha256[:32]}"'
    if request.headers.get("if-range", etag) != etag:
        asked = ""
    part = files.span(asked, ref.size_bytes) if asked else None
    sent = files.headers(ref, part, kind=kind, name=f"{video}{Path(ref.path).suffix}", download=download)
    opened = await asyncio.to_thread(parts.process.artifacts.opened, ref)
    if request.method == "HEAD":
        opened.close()
        return Stream(iter(()), status_code=200 if part is None else 206, headers=sent, media_type=kind)
    return Stream(files.blocks(opened, part), status_code=200 if part is None else 206, headers=sent, media_type=kind)


async def _found(parts: Parts, video: str) -> Biography:
    found = await soon(parts.glance.biography(video))
    if found is None:
        raise NotFoundException(f"there is no video {video[:50]!r}")
    return found


def _files_of(video: Biography) -> dict[str, tuple[ArtifactRef, str]]:
    """What can be fetched, by the name in its URL."""
    there: dict[str, tuple[ArtifactRef, str]] = {}
    if (told := video.documents.get("quality")) and (final := msgspec.json.decode(told, type=Verdict).video):
        there["film"] = (final, "video/mp4")
    elif told := video.documents.get("render"):
        there["draft"] = (msgspec.json.decode(told, type=Film).video, "video/mp4")
    return there


# ---- what is seen


@get("/overview")
async def overviewed(state: State) -> overview.Overview:
    """The factory at a glance."""
    parts = parts_of(state)
    limits = parts.settings.limits
    return await soon(overview.look(parts.gate, parts.glance, parts.videos, parts.statement, limits))


@get("/live")
async def live(state: State) -> ServerSentEvent:
    """Server-sent events: `overview` and `processes` when they change, `event` for each entry of the streams."""

    async def told() -> AsyncIterator[ServerSentEventMessage]:
        async for message in parts_of(state).live.listen():
            yield ServerSentEventMessage(event=message.kind, data=message.data.decode())

    return ServerSentEvent(told(), headers={"cache-control": "no-store", "x-accel-buffering": "no"})


class Letter(msgspec.Struct, frozen=True):
    """A dead letter."""

    id: str
    group: str
    error: str
    hint: str
    video: str
    requeued: bool
    fields: dict[str, str]


@get("/dead")
async def dead(state: State, limit: Limit = 100) -> list[Letter]:
    """Dead letters that are kept, the newest first."""
    letters = await asyncio.to_thread(parts_of(state).process.transport.dead_letters)
    return [
        Letter(
            letter.id,
            letter.group,
            letter.error,
            letter.hint,
            shown(letter.fields.get(b"video", b"")),
            letter.requeued,
            {shown(name): shown(value) for name, value in letter.fields.items()},
        )
        for letter in letters[::-1][:limit]
    ]


@post("/dead/{letter_id:str}/requeue", status_code=200)
async def requeue(state: State, letter_id: str) -> dict[str, str]:
    """Put a dead letter back into the lane of the group that gave up, once."""
    transport = parts_of(state).process.transport
    letters = await asyncio.to_thread(transport.dead_letters)
    letter = next((one for one in letters if one.id == letter_id), None)
    if letter is None:
        raise NotFoundException(f"there is no dead letter {letter_id[:50]!r}")
    subscription = names.SUBSCRIPTIONS.get(letter.group)
    if subscription is None:
        raise RefusedError(
            f"{letter_id} names no group of ours (got {letter.group!r}): nobody can tell where it belongs"
        )
    return {"id": letter_id, "outcome": await asyncio.to_thread(transport.requeue, letter, subscription.lane)}


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def openapi(request: Asked) -> dict[str, Any]:
    """What this is, for programs."""
    return request.app.openapi_schema.to_schema()


# ---- the token, and the console's page


@post("/session", status_code=204)
async def session(state: State, request: Asked) -> Response[None]:
    """Type the token once: `{"token": ...}` becomes a cookie that this site's pages alone send."""
    access: Access = state.access
    given = str((await _object(request)).get("token", ""))
    if not access.is_token(given):
        raise ClientException("the token is wrong", status_code=401)
    cookie = Cookie(key=COOKIE, value=given, httponly=True, samesite="strict", path="/")
    return Response(None, status_code=204, cookies=[cookie])


async def _reason(request: Asked) -> str:
    """The reason that a command's body gives, if it can be read; a halt must not fail for its body."""
    try:
        told = msgspec.json.decode(await _body(request, 10_000))
        return str(told.get("reason", ""))[:500] if isinstance(told, dict) else ""
    except (msgspec.DecodeError, ClientException, UnicodeDecodeError):
        return ""


async def _object(request: Asked) -> dict[str, object]:
    try:
        told = msgspec.json.decode(await _body(request, 100_000))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ClientException(f"the body is not JSON: {error}") from None
    if not isinstance(told, dict):
        raise ClientException(f"the body is a {type(told).__name__}: expected an object")
    return told


async def _body(request: Asked, most: int) -> bytes:
    """The body, read no further than `most` bytes; raises ClientException (413) beyond."""
    too_large = ClientException(
        f"the body is larger than {most:,} bytes, which is all that can be used", status_code=413
    )
    if int(request.headers.get("content-length", "0") or 0) > most:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_large
    return bytes(body)


HANDLERS: Final[list[BaseRouteHandler]] = [
    livez,
    readyz,
    healthy,
    health_detailed,
    metrics_daily,
    gpu_status,
    emergency_halt,
    pause,
    resume,
    control,
    submit,
    videos,
    video,
    video_file,
    overviewed,
    live,
    dead,
    requeue,
    openapi,
    session,
]
