"""Requests to a real gateway on real servers: what its OpenAPI document allows and forbids, and what no client sends.

`openapi` is schemathesis over the gateway's own description; `sockets` are bytes on a socket: requests after accidents,
chunks that lie, bodies without an end, heads that never end. Whatever came, the gateway must go on answering others.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import schemathesis
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from schema.errors import RefusedError
from tests.fuzz import cases, events
from tests.fuzz.bus import looping, servers
from tests.fuzz.judging import Tally, TooSlow, judged
from tests.integration.gateway.conftest import TOKEN, Gateway, gateway_of

ROWS: Final = ("openapi", "sockets")
BATCH: Final = 25
LIMIT_S: Final = 15.0
#: How long is waited for an answer to what may not be a whole request.
_UNFINISHED_S: Final = 0.15
#: It answers as long as somebody listens.
_ENDLESS: Final = "/live"
_CHECKS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
_PATHS: Final = (
    "/livez", "/readyz", "/health", "/health/detailed", "/metrics/daily", "/resources/gpu/status", "/overview", "/dead", "/dead?limit=3", "/openapi.json",
    "/videos", "/videos?limit=0", "/videos?status=failed&topic=a", "/videos/261123-k3f9qz7m", "/videos/261123-k3f9qz7m/film", "/dead/1-0/requeue", "/control",
    "/session", "/pipeline/emergency/halt", "/pipeline/pause", "/pipeline/resume", "/", "/console/index.html", "/console/../../pyproject.toml", "/console/%2e%2e/%2e%2e/etc/passwd",
    "/%00", "/console/%00", "/%ff", "/videos/%00", "/videos/%ed%a0%80/film", "/videos?topic=%00", "/videos?limit=999999999999999999999", "/videos?limit=%f0",
    "//", "/./", "/..", "*", "http://127.0.0.1/livez", "http://[/livez", "/a" * 200, "/" + "x" * 5000, "/videos?" + "a=b&" * 2000, "/videos?topic=" + "%41" * 2000, "/openapi", "/docs", "/metrics",
)  # fmt: skip
_METHODS: Final = (
    "GET",
    "GET",
    "GET",
    "POST",
    "POST",
    "POST",
    "HEAD",
    "OPTIONS",
    "PUT",
    "DELETE",
    "PATCH",
    "TRACE",
    "CONNECT",
    "get",
    "BREW",
    "",
)
_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "Host": ("localhost", "127.0.0.1:1", "[::1]", "evil.example", "[", "[::1", "localhost:99999", "", "a" * 3000),
    "Origin": ("http://evil.example", "null", "http://[", "http://localhost", "file://", "http://[::1]:x", "//["),
    "Referer": ("http://[",),
    "Sec-Fetch-Site": ("cross-site", "same-origin", "none"),
    "Content-Type": ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/cloudevents+json; charset=x", 'a/b; c="', ";", "image/png"),
    "Content-Length": ("0", "5", "-1", "99999999999", "1, 1", "0x10", "+5", "\u00b2"),
    "Transfer-Encoding": ("chunked", "gzip, chunked", "identity", "chunked, chunked"),
    "Content-Encoding": ("gzip", "br"),
    "Accept-Encoding": ("gzip", "*;q=0", "x" * 500),
    "Accept": ("text/html", "application/x-nothing", "*/*;q=x", "a"),
    "Range": ("bytes=0-", "bytes=-1", "bytes=9-1", "bytes=" + "9" * 300 + "-", "bytes=0-1,2-3", "lines=1-2"),
    "If-None-Match": ("*", '"x"', 'W/"' + "a" * 300),
    "Expect": ("100-continue", "200-nothing"),
    "Connection": ("keep-alive", "upgrade", "close, x"),
    "Upgrade": ("websocket", "h2c"),
    "Cookie": ("ytempire_token=x", "=;=;=", 'a="', "\x01=2", ";" * 500),
    "Authorization": ("Bearer x", "Bearer", "Basic \u00ff", f"Bearer {TOKEN}"),
    "X-Forwarded-For": ("1.2.3.4", "::", "x"),
    "X-HTTP-Method-Override": ("DELETE",),
    "Idempotency-Key": ("k", "\u00ff" * 30, "x" * 500),
    "ce-id": ("7", "\u00e9"),
    "ce-source": ("/x",),
    "traceparent": ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "x"),
}  # fmt: skip
_BODIES: Final[tuple[Any, ...]] = (
    {"topic": "Why rivers bend", "notes": "Rivers carry water to the sea. " * 5, "length": "60s", "priority": 3},
    {"specversion": "1.0", "id": "7", "source": "/blog", "type": "video.requested", "data": {"topic": "Rivers"}},
    {"type": "mode", "mode": "economy", "reason": "dear"},
    {"type": "throttle", "jobs": 2, "host": "gpu-1"},
    {"reason": "the voice sounds wrong"},
    {"token": "x"},
)


class Asking:
    """A gateway that runs, and who asks it."""

    def __init__(self, row: str, gateway: Gateway) -> None:
        self._row, self._port = row, gateway.port
        self._address = f"http://127.0.0.1:{self._port}"
        self._client = httpx.Client(base_url=self._address, timeout=LIMIT_S, trust_env=False)
        told = self._client.get("/openapi.json").json()
        found = schemathesis.openapi.from_dict(told)
        operations = [result.ok() for result in found.get_all_operations() if isinstance(result, Ok)]
        self._operations = [one for one in operations if one.path != _ENDLESS]

    def close(self) -> None:
        """Ask no more."""
        self._client.close()

    def play(self, seed: int, number: int, tally: Tally, *, alarm: bool, count: int = BATCH) -> None:  # noqa: ARG002 - sockets have time-outs
        """Judge one batch of what the document says, or one request on a socket."""
        if self._row == "openapi":
            self._by_description(seed, number, tally, count)
            return
        rng = cases.chance(self._row, seed, number)
        pieces, whole = wire(rng)
        judged(tally, number, b"".join(pieces), lambda: self._on_a_socket(pieces, whole=whole), limit_s=LIMIT_S)

    def _by_description(self, seed: int, number: int, tally: Tally, count: int) -> None:
        operation = self._operations[number % len(self._operations)]
        modes = (GenerationMode.NEGATIVE, GenerationMode.POSITIVE)
        judge = partial(judged, limit_s=LIMIT_S)
        for mode in modes[number // len(self._operations) % 2 :]:
            with suppress(Unsatisfiable):  # of some, everything is right
                name = f"openapi {seed} {number}"
                events.drawn(
                    operation.as_strategy(generation_mode=mode), self._asked, judge, name, number, tally, count
                )
                return

    def _asked(self, case: schemathesis.Case[Any]) -> None:
        try:
            response = case.call(base_url=self._address, timeout=LIMIT_S)
            case.validate_response(response, checks=_CHECKS)
        except BaseExceptionGroup as failures:
            told = "; ".join(" ".join(str(failure).split())[:160] for failure in failures.exceptions)
            raise AssertionError(f"{case.method} {case.path}: {told}") from failures
        if response.status_code >= httpx.codes.BAD_REQUEST:
            raise _refusal(response.content, is_head=case.method == "HEAD")

    def _on_a_socket(self, pieces: list[bytes], *, whole: bool) -> None:
        said = b""
        with socket.create_connection(("127.0.0.1", self._port), timeout=LIMIT_S) as wire:
            with suppress(ConnectionError):
                for piece in pieces:
                    wire.sendall(piece)
                    if len(pieces) > 1:
                        time.sleep(0.002)
            said = _heard(wire, LIMIT_S if whole else _UNFINISHED_S)
        if whole and not said:
            raise TooSlow
        assert self._client.get("/livez").status_code == httpx.codes.OK, "nobody else is answered any more"
        if not said:
            raise RefusedError("unfinished, or the connection was closed", hint="send all of it")
        head, _, body = said.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        assert status < httpx.codes.INTERNAL_SERVER_ERROR, f"{status}: {body[:200]!r}"
        if status >= httpx.codes.BAD_REQUEST:
            raise _refusal(body, is_head=b"".join(pieces).startswith(b"HEAD"))


def _refusal(body: bytes, *, is_head: bool) -> RefusedError:
    """The reason that an answer gives."""
    if is_head:
        return RefusedError("an answer to HEAD has no body", hint="ask with GET")
    try:
        told = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return RefusedError(body.decode(errors="replace").strip() or " ")
    return RefusedError(str(told.get("error", "")) or " ", hint=str(told.get("hint", "")))


def _heard(wire: socket.socket, within_s: float) -> bytes:
    """What comes until the other side closes, or nothing more comes for so long."""
    wire.settimeout(within_s)
    said = b""
    with suppress(TimeoutError, ConnectionError):
        while piece := wire.recv(65_536):
            said += piece
            wire.settimeout(_UNFINISHED_S)
            if b"event-stream" in said or len(said) > 1 << 22:
                break
    return said


def wire(rng: random.Random) -> tuple[list[bytes], bool]:
    """A request in pieces, and whether it is whole: then it must be answered."""
    method, path = rng.choice(_METHODS), rng.choice(_PATHS)
    if rng.random() < 0.1:
        path = "/" + "".join(rng.choice("abc/.%0?&=#;\\ \u00e9") for _ in range(rng.randrange(30)))
    body = b""
    if method in ("POST", "PUT") and rng.random() < 0.9:
        told = rng.choice(_BODIES)
        body = cases.as_json(rng, told if rng.random() < 0.2 else cases.changed(rng, told))
    headers = [("Host", "localhost"), ("Connection", "close"), ("Content-Type", "application/json")]
    odd = [(name, rng.choice(_HEADERS[name])) for name in rng.sample(list(_HEADERS), rng.choice((0, 1, 1, 2, 4)))]
    breaks = {"Content-Length", "Transfer-Encoding", "Connection", "Expect", "Upgrade"} & {name for name, _ in odd}
    headers = [one for one in headers if one[0] not in {name for name, _ in odd}] + odd
    if rng.random() < 0.05:
        headers += [(f"x-{number}", "y" * rng.choice((1, 2000))) for number in range(rng.choice((50, 400)))]
    whole = not breaks and method not in ("", "CONNECT")
    if "Content-Length" not in breaks:
        if rng.random() < 0.25:
            headers.append(("Transfer-Encoding", "chunked"))
            body, right = _chunked(rng, body)
            whole = whole and right
        elif body or rng.random() < 0.5:
            headers.append(("Content-Length", str(len(body))))
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers)
    sent = f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1", "replace") + body
    if rng.random() < 0.35:
        sent, whole = cases.spoilt(rng, sent, head=len(sent) - len(body)), False
    if rng.random() < 0.1:
        at = sorted(rng.randrange(len(sent) or 1) for _ in range(5))
        return [sent[begin:end] for begin, end in zip([0, *at], [*at, len(sent)], strict=True)], whole
    return [sent], whole


def _chunked(rng: random.Random, body: bytes) -> tuple[bytes, bool]:
    """The body in chunks, and whether they are right."""
    half = len(body) // 2
    parts = [part for part in (body[:half], body[half:]) if part]
    right = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    match rng.randrange(8):
        case 0:
            return rng.choice(
                (b"-1\r\n", b"fffffffffffffffff\r\n", b"7fffffff\r\n", b"zz\r\n", b"\r\n", b"1;" + b"x" * 9000)
            ) + right, False
        case 1:
            return cases.spoilt(rng, right, head=10), False
        case 2:
            return right[: -rng.randrange(1, 5)], False
        case _:
            return right, True


@contextmanager
def asking(row: str, folder: Path, addresses: tuple[str, str] | None = None) -> Iterator[Asking]:
    """One that runs, on servers of its own where none are named."""
    with ExitStack() as stack:
        made = addresses or stack.enter_context(servers(folder))
        loop = stack.enter_context(looping())
        coming = gateway_of(*made, folder)
        gateway = loop.run_coroutine(coming.__aenter__())
        stack.callback(lambda: loop.run_coroutine(coming.__aexit__(None, None, None)))
        one = Asking(row, gateway)
        stack.callback(one.close)
        yield one
