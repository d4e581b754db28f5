"""Serves the fakes: each provider below a path of its own, the files of Pexels at /media, orders at /control.

A request is kept in the ledger before any of its answer is sent; what can go wrong on the way is done here, what a
provider would say is its own file's business.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.fakes.elevenlabs_speech import ElevenLabsSpeech
from tests.fakes.faults import Fault, Plan
from tests.fakes.google_speech import GoogleSpeech
from tests.fakes.ledger import Ledger
from tests.fakes.openai_chat import OpenAIChat
from tests.fakes.pexels_search import Files, PexelsSearch
from tests.fakes.wire import Call, FakeProvider, Reply

#: The provider itself answers these, each in its own form, and bills nothing.
_STATUSES = {
    "rate_limited": 429,
    "server_error": 500,
    "no_credit": 402,
    "wrong_key": 401,
    "bad_token": 401,
    "bad_model": 404,
}
_GARBAGE = b'{"this is no \x00 JSON'
_transports: dict[tuple[str, int], asyncio.Transport] = {}


class Protocol(H11Protocol):
    """Lets a request find its own connection, to reset it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep it."""
        super().connection_made(transport)
        host, port = transport.get_extra_info("peername")[:2]
        self._peer = (host, port)
        _transports[self._peer] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        _transports.pop(self._peer, None)
        super().connection_lost(exc)


def app(plan: Plan, ledger: Ledger) -> Starlette:
    """The whole server."""
    fakes: list[FakeProvider] = [OpenAIChat(), PexelsSearch(), ElevenLabsSpeech(), GoogleSpeech(), Files()]

    async def ordered(request: Request) -> Response:
        plan.order(msgspec.json.decode(await request.body(), type=list[Fault]))
        return Response(status_code=204)

    routes = [Route("/control/faults", ordered, methods=["POST"])]
    for fake in fakes:
        endpoint = _Endpoint(fake, plan, ledger)
        routes.append(Route(f"/{fake.name}/{{path:path}}", endpoint.serve, methods=["GET", "POST"]))
    return Starlette(routes=routes)


class _Endpoint:
    """One provider behind HTTP."""

    def __init__(self, fake: FakeProvider, plan: Plan, ledger: Ledger) -> None:
        self._fake, self._plan, self._ledger = fake, plan, ledger

    async def serve(self, request: Request) -> Response:
        """Answer one request, with what shall go wrong."""
        fault = self._plan.next(self._fake.name)
        call = Call(
            path="/" + request.path_params["path"],
            query=dict(request.query_params),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.body(),
            origin=str(request.base_url).rstrip("/"),
            fault=fault,
        )
        kind = fault.kind if fault else ""
        reply = self._reply(call, kind)
        self._ledger.append(
            provider=self._fake.name,
            path=call.path,
            reservation=call.headers.get("x-client-request-id", ""),
            input_sha256=call.fingerprint(),
            model=reply.model,
            status=0 if kind in {"hang", "reset_before", "reset_after"} else reply.status,
            outcome=kind or "answered",
            billed={} if kind == "reset_before" else reply.billed,
        )
        return await _sent(request, reply, fault)

    def _reply(self, call: Call, kind: str) -> Reply:
        if status := _STATUSES.get(kind):
            return self._fake.failure(status, kind)
        reply = self._fake.answer(call)
        if kind == "bad_gateway":
            return msgspec.structs.replace(reply, status=502, body=b"<html>Bad Gateway</html>", media_type="text/html")
        if kind == "malformed_body":
            return msgspec.structs.replace(reply, body=_GARBAGE)
        return reply


async def _sent(request: Request, reply: Reply, fault: Fault | None) -> Response:
    kind, seconds = (fault.kind, fault.seconds) if fault else ("", 0.0)
    headers = dict(reply.headers)
    if kind in {"reset_before", "reset_after"}:
        _reset(request)
    if kind in {"hang", "reset_before", "reset_after"}:
        while (await request.receive())["type"] != "http.disconnect":
            pass
    if kind == "latency":
        await asyncio.sleep(seconds)
    if kind == "rate_limited" and seconds > 0:
        headers["Retry-After"] = f"{seconds:g}"
    if kind == "slow_drip":
        headers["Content-Length"] = str(len(reply.body))
        return StreamingResponse(_dripping(reply.body, seconds), reply.status, headers, reply.media_type)
    return Response(reply.body, reply.status, headers, reply.media_type)


async def _dripping(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    for place in range(len(body)):
        yield body[place : place + 1]
        await asyncio.sleep(seconds)


def _reset(request: Request) -> None:
    """End the connection with a reset rather than a farewell."""
    assert request.client is not None
    transport = _transports[(request.client.host, request.client.port)]
    held: socket.socket = transport.get_extra_info("socket")
    held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
