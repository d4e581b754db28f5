"""The application and its server: routes behind the rules of access, errors in words, time measured, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Final

import uvicorn
from litestar import Litestar
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from deploy.gateway import access, answers, health, routes, telling, video_routes
from deploy.gateway.parts import Parts
from deploy.gateway.sharing import Shared
from schema.errors import ConfigurationError
from schema.telemetry import metrics
from streams.process import Process

#: How long open answers may take when the process ends.
_GRACE_S = 2
#: How old an answer to /health may be: whoever asks all the time shall cost nothing.
_FRESH_S: Final = 0.2
#: Calls that wait for a Redis that does not answer hold a thread each, for some seconds.
_THREADS: Final = 64


async def run(process: Process) -> None:
    """Serve until cancelled; the process is ready when it listens."""
    await serve(Parts(process), process.serve_metrics)


async def serve(parts: Parts, listens: Callable[[], None] = lambda: None) -> None:
    """The same with these parts; says once that it listens."""
    servers = parts.settings.servers
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="gateway"))
    server = _Server(
        uvicorn.Config(
            application(parts),
            host=servers.gateway_host,
            port=servers.gateway_port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            proxy_headers=False,  # what a proxy says of its client is `access`'s to judge
            timeout_graceful_shutdown=_GRACE_S,
            timeout_keep_alive=30,
        ),
        listens,
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

    def __init__(self, config: uvicorn.Config, listens: Callable[[], None]) -> None:
        super().__init__(config)
        self._listens = listens

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
        else:
            self._listens()


def application(parts: Parts) -> ASGIApp:
    """The whole of it, for a server or a test."""
    rules = access.Access(parts.settings.servers)
    return answers.secured(_measured(access.guarded(answers.nameable(routed(parts, rules)), rules)))


def routed(parts: Parts, rules: access.Access) -> Litestar:
    """Every route there is, and nothing before them: who may ask has to be looked at first."""
    files: list[Path | PathLike[Any] | str] = [routes.CONSOLE]
    console = create_static_files_router(path="/console", directories=files, include_in_schema=False)
    page = create_static_files_router(path="/", directories=files, html_mode=True, include_in_schema=False)
    return Litestar(
        [*routes.HANDLERS, *video_routes.HANDLERS, *telling.HANDLERS, console, page],
        state=State({"parts": parts, "access": rules, "health": Shared(partial(health.health, parts), _FRESH_S)}),
        exception_handlers=answers.HANDLERS,
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
