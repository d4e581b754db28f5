"""How answers are: errors in words with a status that fits, and on every answer what a browser must not do with it."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import structlog
from litestar import Request, Response
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ASGIApp, ExceptionHandlersMap, Message, Receive, Scope, Send

from deploy.gateway.files import UnsatisfiableRangeError
from deploy.gateway.submissions import FullError, MalformedError
from schema.errors import ArtifactError, PipelineError, RefusedError, StoreUnavailableError

_log = structlog.get_logger(__name__)
_RETRY_AFTER_S = "5"
#: The longest name and path that the file systems of Linux take, the latter with room for where ours begins.
_NAME_MAX_BYTES: Final = 255
_PATH_MAX_BYTES: Final = 3072
#: Nothing is loaded from elsewhere, no page may frame ours, and what a file is, its type says.
SECURITY: Final = {
    "content-security-policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Error(msgspec.Struct, frozen=True):
    """What went wrong, and what to do about it; `hint` is empty where nothing is known."""

    error: str
    hint: str = ""


def secured(app: ASGIApp) -> ASGIApp:
    """The app, with these headers on every answer, refusals and errors too."""
    ours = [(name.encode(), value.encode()) for name, value in SECURITY.items()]

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *ours]
            await send(message)

        await app(scope, receive, sent if scope["type"] == ScopeType.HTTP else send)

    return serve


def nameable(app: ASGIApp) -> ASGIApp:
    """The app, for paths that can be names at all: looking for others among the console's files is an error there."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and not _is_nameable(scope["path"]):
            body = msgspec.json.encode(Error("there is nothing of this name"))
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        await app(scope, receive, send)

    return serve


def _is_nameable(path: str) -> bool:
    told = path.encode(errors="replace")
    return b"\0" not in told and len(told) <= _PATH_MAX_BYTES and max(map(len, told.split(b"/"))) <= _NAME_MAX_BYTES


def _http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Error]:
    extra: Any = error.extra
    hint = "; ".join(_said(extra)) if isinstance(error, ValidationException) and isinstance(extra, list) else ""
    said = _error(error.status_code, str(error.detail), hint)
    said.headers.update(error.headers or {})
    return said


def _said(extra: Iterable[Any]) -> Iterable[str]:
    """Which parameter is wrong, and how."""
    for one in extra:
        if isinstance(one, dict):
            yield f"{one.get('key', '')}: {one.get('message', '')}"


def _told(_request: Request[Any, Any, Any], error: PipelineError) -> Response[Error]:
    if isinstance(error, UnsatisfiableRangeError):
        said = _error(416, str(error), error.hint)
        said.headers["content-range"] = f"bytes */{error.size_bytes}"
        return said
    if isinstance(error, RefusedError):
        full = isinstance(error, FullError)
        status = 429 if full else 400 if isinstance(error, MalformedError) else 422
        return _error(status, str(error), error.hint, wait=full)
    missing = isinstance(error, ArtifactError) and not isinstance(error, StoreUnavailableError)
    return _error(404 if missing else 503, str(error), error.hint, wait=not missing)


def _unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[Error]:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return _error(507, "the disk is full", "./ytempire clean")
    _log.error("gateway.failed", path=request.url.path, exc_info=error)
    return _error(500, f"{type(error).__name__}: see the log", "logs/pipeline.log")


def _error(status: int, error: str, hint: str, *, wait: bool = False) -> Response[Error]:
    headers = {"retry-after": _RETRY_AFTER_S} if wait else None
    return Response(Error(error, hint), status_code=status, headers=headers, media_type="application/json")


HANDLERS: Final[ExceptionHandlersMap] = {HTTPException: _http_error, PipelineError: _told, Exception: _unforeseen}
