"""Every route of the app itself, asked by those who may not: one that is added is asked, too, or named here first."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute
from litestar.types import Message, Receive, Scope, Send
from litestar.types.asgi_types import WebSocketConnectEvent
from msgspec.structs import replace

from deploy.gateway import serving
from deploy.gateway.access import Access, guarded
from schema.settings.servers import Servers
from tests.integration.gateway.conftest import TOKEN, Gateway

#: What anybody who reaches the gateway is told: that it lives, and an empty page on which the token can be typed.
OPEN = {
    ("GET", "/livez"), ("GET", "/readyz"), ("GET", "/health"), ("POST", "/session"), ("GET", "/"),
    ("GET", "/console/{file_path:path}"), ("HEAD", "/console/{file_path:path}"),
}  # fmt: skip
#: What changes something; all else only tells.
CHANGES = {
    "/pipeline/emergency/halt", "/pipeline/pause", "/pipeline/resume", "/control", "/videos", "/session",
    "/dead/{letter_id:str}/requeue",
}  # fmt: skip
LET_IN = 299
ELSEWHERE = ("203.0.113.9", 40_000)


def _routes(gateway: Gateway) -> list[tuple[str, str]]:
    app = serving.routed(gateway.parts, Access(gateway.parts.settings.servers))
    assert all(isinstance(route, HTTPRoute) for route in app.routes), "these rules know HTTP alone"
    found = [
        (str(method), route.path) for route in app.routes if isinstance(route, HTTPRoute) for method in route.methods
    ]
    assert len(found) > 30
    return found


def _path(template: str) -> str:
    return template.replace("{file_path:path}", "main.js").replace("{", "").replace("}", "").replace(":str", "")


async def _status(
    gateway: Gateway,
    method: str,
    path: str,
    headers: dict[str, str],
    *,
    token: str = TOKEN,
    client: tuple[str, int] = ELSEWHERE,
) -> int:
    """As the server would hand it to the app; only for what is refused, since a stream would never end."""
    servers = replace(gateway.parts.settings.servers, gateway_token=token)
    app = guarded(_nobody, Access(servers))
    transport = httpx.ASGITransport(app=app, client=client)  # type: ignore[arg-type] # the same protocol, typed twice
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as ask:
        return (await ask.request(method, path, headers=headers)).status_code


async def _nobody(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": LET_IN, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def test_no_route_is_served_beyond_this_machine_without_the_token(gateway: Gateway) -> None:
    for method, template in _routes(gateway):
        if method == "OPTIONS":
            continue  # what a route takes; it is answered by the framework and tells nothing of ours
        path, is_open = _path(template), (method, template) in OPEN
        assert await _status(gateway, method, path, {}) == (LET_IN if is_open else 401), (method, path)
        assert await _status(gateway, method, path, {}, token="") == (LET_IN if is_open else 403), (method, path)
        wrong = {"authorization": "Bearer wrong", "cookie": "ytempire_token=wrong"}
        assert await _status(gateway, method, path, wrong) == (LET_IN if is_open else 401), (method, path)
        empty = {"authorization": "Bearer "}
        assert await _status(gateway, method, path, empty, token="") == (LET_IN if is_open else 403), (method, path)
        right = {"authorization": f"Bearer {TOKEN}"}
        assert await _status(gateway, method, path, right) == LET_IN, (method, path)


async def test_no_route_answers_to_a_foreign_name_and_none_that_changes_something_to_a_foreign_page(
    gateway: Gateway,
) -> None:
    here = ("127.0.0.1", 40_000)
    for method, template in _routes(gateway):
        path = _path(template)
        rebound = {"host": "rebound.example:8000"}
        assert await _status(gateway, method, path, rebound, client=here) == 403, (method, path)
        if method in ("GET", "HEAD", "OPTIONS"):
            continue
        assert template in CHANGES, f"{method} {template} is new: say that it changes something"
        for page in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
            token = {"authorization": f"Bearer {TOKEN}"}
            assert await _status(gateway, method, path, page | token, client=here) == 403, (method, path, page)


async def test_every_route_that_is_named_here_is_there(gateway: Gateway) -> None:
    found = set(_routes(gateway))
    assert found >= OPEN
    assert {path for method, path in found if method not in ("GET", "HEAD", "OPTIONS")} == CHANGES


async def test_the_app_that_is_served_is_the_one_behind_the_rules(gateway: Gateway) -> None:
    for path in ("/overview", "/settings", "/videos", "/costs", "/live", "/openapi.json"):
        assert await gateway.raw_status("GET", path, {"X-Forwarded-For": "203.0.113.9"}) == 401, path


async def test_a_socket_is_closed_before_any_route_sees_it(gateway: Gateway) -> None:
    sent: list[Message] = []

    async def receive() -> WebSocketConnectEvent:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Any = {"type": "websocket", "path": "/live", "headers": [], "client": ("127.0.0.1", 1)}
    await serving.application(gateway.parts)(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize("given", ["", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\udcff", "ä"])
def test_only_the_whole_token_is_the_token(given: str) -> None:
    rules = Access(Servers(gateway_token=TOKEN))
    assert rules.is_token(TOKEN)
    assert not rules.is_token(given)
