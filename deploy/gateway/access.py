"""Who may ask: on this machine anybody but a web page of somebody else's, from elsewhere whoever has the token.

A page can make a browser send requests to localhost, by its own name (checked by `Host`, which a rebound name gives
away) or across (checked by `Origin` and `Sec-Fetch-Site`, for whatever changes something). A request that came through
a proxy counts as coming from elsewhere. Without a token set, nothing beyond this machine is served but /livez, /readyz,
/health and the console's own empty page, on which the token can be typed. It stands before all routes, so one that is
added tomorrow is guarded, too.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from schema.settings.servers import Servers

COOKIE: Final = "ytempire_token"
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN: Final = ("/livez", "/readyz", "/health", "/", "/session")
_OPEN_BELOW: Final = "/console/"
#: RFC 6455: against the rules.
_POLICY: Final = 1008
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


class Refusal(msgspec.Struct, frozen=True):
    """Why not, and what to do."""

    status: int
    error: str
    hint: str


class Access:
    """The rules, by the settings."""

    def __init__(self, servers: Servers) -> None:
        self._token = servers.gateway_token.encode()
        self._names = _LOOPBACK_NAMES | {
            name.strip().casefold() for name in servers.gateway_hosts.split(",") if name.strip()
        }

    def refusal(self, method: str, path: str, headers: Mapping[str, str], client: str) -> Refusal | None:
        """Why this request is not served; None: it is. Names of headers are in lower case."""
        host = _name_in(headers.get("host", ""))
        # no foreign name can be made to mean this machine where the machine is called by its address
        if host not in self._names and not _is_address(host):
            hint = "add the name to YTEMPIRE_GATEWAY_HOSTS"
            return Refusal(403, f"this gateway is not called {host[:100]!r}", hint)
        if method not in _READS and (foreign := self._foreign(headers)):
            return Refusal(403, f"a page of {foreign[:100]} may not do this", "use the console or the command line")
        is_here = _is_local(client) and not any(name in headers for name in _FORWARDED)
        if is_here or path in _OPEN or path.startswith(_OPEN_BELOW):
            return None
        return self._without_token(headers)

    def _without_token(self, headers: Mapping[str, str]) -> Refusal | None:
        if not self._token:
            hint = "set YTEMPIRE_GATEWAY_TOKEN, and send it as `Authorization: Bearer TOKEN`"
            return Refusal(403, "without a token this gateway serves its own machine only", hint)
        if not self.is_token(_given(headers)):
            return Refusal(401, "the token is missing or wrong", "send it as `Authorization: Bearer TOKEN`")
        return None

    def is_token(self, given: str) -> bool:
        """Whether it is the token, in a time that does not tell how much of it was right."""
        return bool(self._token) and hmac.compare_digest(given.encode(errors="replace"), self._token)

    def _foreign(self, headers: Mapping[str, str]) -> str:
        """Whose page sent it, if it was a foreign one's; a browser always says so, everything else never does."""
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return headers.get("origin") or "another site"
        origin = headers.get("origin", "")
        if origin and _place_in(origin) != headers.get("host", "").casefold():
            return origin
        return ""


def guarded(app: ASGIApp, access: Access) -> ASGIApp:
    """The app behind these rules."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            client = scope["client"][0] if scope["client"] else ""
            if refused := access.refusal(scope["method"], scope["path"], headers, client):
                await _answer(refused, send)
                return
        elif scope["type"] == ScopeType.WEBSOCKET:  # there are none here, and these rules do not know them
            await receive()
            await send({"type": "websocket.close", "code": _POLICY, "reason": "this gateway has no sockets"})
            return
        await app(scope, receive, send)

    return serve


async def _answer(refused: Refusal, send: Send) -> None:
    body = msgspec.json.encode({"error": refused.error, "hint": refused.hint})
    kind = (b"content-type", b"application/json")
    await send(
        {
            "type": "http.response.start",
            "status": refused.status,
            "headers": [kind, (b"content-length", str(len(body)).encode()), (b"connection", b"close")],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _name_in(host: str) -> str:
    """The name in a Host header, without its port and brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").casefold()
    except ValueError:
        return ""


def _place_in(origin: str) -> str | None:
    """The name and port in an Origin header; None where it is malformed, and so nobody's we know."""
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_local(client: str) -> bool:
    try:
        return ip_address(client).is_loopback
    except ValueError:
        return False


def _given(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.casefold() == "bearer":
        return token.strip()
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie is not None else ""
