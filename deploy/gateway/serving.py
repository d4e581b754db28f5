"""The application and its server: routes behind the rules of access, errors in words, time measured, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections.abc import Iterator
from typing import Any

import structlog
import uvicorn
from litestar import Litestar, Request, Response
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from deploy.gateway import access
from deploy.gateway.files import UnsatisfiableRangeError
from deploy.gateway.parts import Parts
from deploy.gateway.routes import CONSOLE, HANDLERS
from deploy.gateway.submissions import MalformedError
from schema.errors import ArtifactError, ConfigurationError, PipelineError, RefusedError
from schema.telemetry import metrics
from streams.process import Process

_log = structlog.get_logger(__name__)
_RETRY_AFTER_S = "5"
#: How long open answers may take when the process ends.
_GRACE_S = 2


async def run(process: Process) -> None:
    """Serve until cancelled."""
    servers = process.settings.servers
    parts = Parts(process)
    server = _Server(
        uvicorn.Config(
            application(parts),
            host=servers.gateway_host,
            port=servers.gateway_port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_S,
            timeout_keep_alive=30,
        )
    )
    feed = asyncio.create_task(parts.live.run())
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.wait({feed, serving}, return_when=asyncio.FIRST_COMPLETED)
        if feed.done():
            feed.result()
        if serving.done():
            serving.result()
            hint = "set YTEMPIRE_GATEWAY_PORT or YTEMPIRE_GATEWAY_HOST"
            raise ConfigurationError(
                f"the gateway cannot listen on {servers.gateway_host} port {servers.gateway_port}", hint=hint
            )
    finally:
        server.should_exit = True
        feed.cancel()
        await asyncio.wait({feed, serving})


class _Server(uvicorn.Server):
    """Leaves the signals to the process, and its errors to whoever started it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: TERM cancels `run`."""
        yield

    async def startup(self, sockets: Any = None) -> None:  # noqa: ANN401 - as uvicorn has it
        """Listen; uvicorn would end the process where it cannot."""
        try:
            await super().startup(sockets)
        except SystemExit:
            self.should_exit = True


def application(parts: Parts) -> ASGIApp:
    """The whole of it, for a server or a test."""
    rules = access.Access(parts.settings.servers)
    console = create_static_files_router(path="/console", directories=[CONSOLE], send_as_attachment=False)
    page = create_static_files_router(path="/", directories=[CONSOLE], html_mode=True, include_in_schema=False)
    app = Litestar(
        [*HANDLERS, console, page],
        state=State({"parts": parts, "access": rules}),
        exception_handlers={HTTPException: _http_error, PipelineError: _told, Exception: _unforeseen},
        openapi_config=OpenAPIConfig(
            title="YTEMPIRE Pipeline",
            version=metrics.version(),
            description="Publish a topic, get a finished, narrated, captioned MP4.",
            path="/openapi",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
        compression_config=CompressionConfig(backend="gzip", exclude=["/live", "/videos/.+/.+"]),
        logging_config=None,
        debug=False,
    )
    return _measured(access.guarded(app, rules))


def _measured(app: ASGIApp) -> ASGIApp:
    """Count and time every answer, by its route: never by its URL, which has names of videos in it."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        begun_s, status = time.perf_counter(), "500"

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                took_s = time.perf_counter() - begun_s
                route = str(scope.get("path_template", "") or "refused")
                metrics.HTTP_SECONDS.labels(route, scope["method"], status).observe(took_s)
            await send(message)

        await app(scope, receive, sent)

    return serve


def _http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, str]]:
    return _error(error.status_code, str(error.detail), "")


def _told(_request: Request[Any, Any, Any], error: PipelineError) -> Response[dict[str, str]]:
    if isinstance(error, UnsatisfiableRangeError):
        return _error(416, str(error), error.hint)
    if isinstance(error, RefusedError):
        busy = "waiting already" in str(error)
        status = 429 if busy else 400 if isinstance(error, MalformedError) else 422
        return _error(status, str(error), error.hint, wait=busy)
    missing = isinstance(error, ArtifactError)
    return _error(404 if missing else 503, str(error), error.hint, wait=not missing)


def _unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return _error(507, "the disk is full", "./ytempire clean")
    _log.error("gateway.failed", path=request.url.path, exc_info=error)
    return _error(500, f"{type(error).__name__}: see the log", "logs/pipeline.log")


def _error(status: int, error: str, hint: str, *, wait: bool = False) -> Response[dict[str, str]]:
    headers = {"retry-after": _RETRY_AFTER_S} if wait else None
    return Response({"error": error, "hint": hint}, status_code=status, headers=headers)
