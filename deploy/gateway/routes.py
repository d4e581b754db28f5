"""The runbook's URLs, control, what is seen live, dead letters, the token; the rest is in `video_routes`, `telling`.

What a route does is in the module it calls; here is where it is found and how it answers: JSON in the words of the
record; an error is `{"error": ..., "hint": ...}` with a status that fits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.datastructures import Cookie, State
from litestar.exceptions import ClientException, NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from deploy import overview
from deploy.gateway import commanding, health, letters, reading
from deploy.gateway.access import COOKIE, Access
from deploy.gateway.described import WithCommand, WithReason, WithToken, refusals
from deploy.gateway.parts import Parts
from deploy.gateway.patience import soon
from deploy.gateway.reading import Asked
from deploy.gateway.sharing import Shared
from schema.wire import shown

CONSOLE: Final = Path(__file__).parents[1] / "console"
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
_DOWN: Final = {
    503: ResponseSpec(health.Health, generate_examples=False, description="Something that is critical does not answer")
}
_DEAD: Final = {
    503: ResponseSpec(dict[str, str], generate_examples=False, description="It has not read the streams for a while")
}


def parts_of(state: State) -> Parts:
    """What the routes work with."""
    parts: Parts = state.parts
    return parts


# ---- health: the runbook's URLs


@get("/livez", sync_to_thread=False, responses=_DEAD)
def livez(state: State) -> Response[dict[str, str]]:
    """Whether this process consumes: it read the streams a moment ago."""
    consumes = parts_of(state).live.consumes
    return Response({"status": "ok" if consumes else "not consuming"}, status_code=200 if consumes else 503)


@get("/readyz", responses=_DOWN)
async def readyz(state: State) -> Response[health.Health]:
    """Whether it can do something useful: Postgres and Redis answer."""
    return await _healthy(state)


@get("/health", responses=_DOWN)
async def healthy(state: State) -> Response[health.Health]:
    """The runbook's components in short."""
    return await _healthy(state)


async def _healthy(state: State) -> Response[health.Health]:
    checked: Shared[health.Health] = state.health
    found = await checked.get()
    return Response(found, status_code=200 if found.status == "ok" else 503)


@get("/health/detailed", responses=refusals())
async def health_detailed(state: State) -> health.Detailed:
    """Components, gate, queue, processes, guardians and key figures."""
    return await health.detailed(parts_of(state))


@get("/metrics/daily", responses=refusals())
async def metrics_daily(state: State) -> health.Daily:
    """Yesterday and today so far: videos, times, money."""
    return await health.daily(parts_of(state))


@get("/resources/gpu/status", responses=refusals())
async def gpu_status(state: State) -> health.GpuStatus:
    """The cards, as the gpu guardian sees them."""
    return await health.gpu(parts_of(state))


# ---- control


@post("/pipeline/emergency/halt", status_code=200, responses=refusals(), operation_class=WithReason)
async def emergency_halt(state: State, request: Asked) -> dict[str, str]:
    """Stop everything now. A body of JSON may carry a reason; a body that is none still halts."""
    return await _hold(state, request, "halt")


@post("/pipeline/pause", status_code=200, responses=refusals(), operation_class=WithReason)
async def pause(state: State, request: Asked) -> dict[str, str]:
    """Finish what runs, take nothing new."""
    return await _hold(state, request, "pause")


@post("/pipeline/resume", status_code=200, responses=refusals(), operation_class=WithReason)
async def resume(state: State, request: Asked) -> dict[str, str]:
    """Lift all holds."""
    return await _hold(state, request, "resume")


@post("/control", status_code=200, responses=refusals(400, 413, 422), operation_class=WithCommand)
async def control(state: State, request: Asked) -> dict[str, str]:
    """Any command of stream:control, its fields as a JSON object, such as `{"type": "mode", "mode": "economy"}`."""
    told = await reading.json_object(request)
    fields = {str(name): str(value) for name, value in told.items() if value not in (None, "")}
    return await commanding.give(parts_of(state), {"by": commanding.BY, **fields})


async def _hold(state: State, request: Asked, verb: str) -> dict[str, str]:
    why = await reading.reason(request)
    return await commanding.give(parts_of(state), {"type": verb, "by": commanding.BY, "reason": why})


# ---- what is seen


@get("/overview", responses=refusals())
async def overviewed(state: State) -> overview.Overview:
    """The factory at a glance."""
    return await soon(parts_of(state).overview.get())


@get("/live", responses=refusals(), media_type="text/event-stream")
async def live(state: State) -> Stream:
    """Server-sent events: `overview` and `processes` when they change, `event` for each entry of the streams."""

    async def told() -> AsyncIterator[bytes]:
        yield b": welcome\n\n"  # so that the answer begins at once
        async with aclosing(parts_of(state).live.listen()) as batches:
            async for messages in batches:
                yield b"".join(message.wire for message in messages)

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return Stream(told(), headers=headers, media_type="text/event-stream")


@get("/dead", responses=refusals(400))
async def dead(state: State, limit: Limit = 100) -> list[letters.Letter]:
    """Dead letters that are kept, the newest first."""
    return await letters.letters(parts_of(state), limit)


@post("/dead/{letter_id:str}/requeue", status_code=200, responses=refusals(400, 404, 422))
async def requeue(state: State, letter_id: FromPath[str]) -> letters.PutBack:
    """Put a dead letter back into the lane of the group that gave up, once."""
    done = await letters.put_back(parts_of(state), letter_id)
    if done is None:
        raise NotFoundException(f"there is no dead letter {shown(letter_id)!r}")
    return done


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def openapi(request: Asked) -> dict[str, Any]:
    """What this is, for programs."""
    return request.app.openapi_schema.to_schema()


# ---- the token, and the console's page


@post("/session", status_code=204, responses=refusals(400, 413), operation_class=WithToken)
async def session(state: State, request: Asked) -> Response[None]:
    """Type the token once: `{"token": ...}` becomes a cookie that this site's pages alone send."""
    access: Access = state.access
    given = str((await reading.json_object(request)).get("token", ""))
    if not access.is_token(given):
        raise ClientException("the token is wrong", status_code=401)
    cookie = Cookie(key=COOKIE, value=given, httponly=True, samesite="strict", path="/")
    return Response(None, status_code=204, cookies=[cookie])


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
    overviewed,
    live,
    dead,
    requeue,
    openapi,
    session,
]
