"""Answers of the paid providers after accidents, read by the real adapters through their real clients.

The fakes make a right answer to the very request; status, headers and body are then changed. At full speed the answer
never meets a socket: what sends bytes in httpx and in requests is replaced, all above it is the clients' own. A share
goes over HTTP, with what can go wrong there. Whatever comes, the adapter says what it is in an error of ours, or gives
an answer that can be kept, read again and shown.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import io
import json
import math
import random
import shutil
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import certifi
import httpx
import httpx2  # what the client of OpenAI is built on
import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from actors.providers.kept import answer_type
from actors.providers.ports import Answer, Hits, SearchOrder, SpeechOrder, Utterance
from schema.documents import Script
from schema.errors import BilledError
from schema.settings.providers import Providers
from tests.fakes.elevenlabs_speech import ElevenLabsSpeech
from tests.fakes.google_speech import GoogleSpeech
from tests.fakes.openai_chat import OpenAIChat
from tests.fakes.orders import ORDERS, Bought, bought
from tests.fakes.pexels_search import PexelsSearch
from tests.fakes.wire import KEYS, Call, FakeProvider, Reply
from tests.fuzz import cases
from tests.fuzz.judging import Tally, judged

ROWS: Final = ("openai", "pexels", "elevenlabs", "google", "wire")
LIMIT_S: Final = 10.0
_ORIGIN: Final = "http://127.0.0.1:9"
_STATUSES: Final = (100, 201, 204, 206, 301, 302, 304, 400, 401, 402, 403, 404, 408, 409, 413, 422, 425, 429, 500, 501, 502, 503, 504, 529, 599)  # fmt: skip
_HEADERS: Final = (
    "Retry-After", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "x-request-id", "request-id", "Content-Type", "Location",
    "Set-Cookie", "Content-Encoding", "X-Should-Retry", "retry-after-ms",
)  # fmt: skip
_ENCODINGS: Final = ("gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", "none", "")
_FAKES: Final[dict[str, FakeProvider]] = {
    "openai": OpenAIChat(),
    "pexels": PexelsSearch(),
    "elevenlabs": ElevenLabsSpeech(),
    "google": GoogleSpeech(),
}
#: Mostly a language that nothing listens to: to align a voice takes a hundred times as long as to read an answer.
_SPOKEN_SHARE: Final = 0.02


class Reader:
    """One adapter, and what it is told; used as a block, which is when its client sends nothing."""

    def __init__(self, row: str, folder: Path, stack: ExitStack) -> None:
        self._row, self._folder = row, folder
        pem = folder / "one.pem"
        end = "-----END CERTIFICATE-----\n"
        pem.write_text(certifi.contents().partition(end)[0] + end, encoding="utf-8")
        stack.enter_context(mock.patch.dict("os.environ", SSL_CERT_FILE=str(pem)))
        self._runner = stack.enter_context(asyncio.Runner())
        self._rng, self._sent = random.Random(0), Reply(200, b"")  # noqa: S311 - repeatable
        #: What becomes of a right answer to this provider's request.
        self._says: Callable[[Reply, str], Reply] = lambda reply, provider: spoilt(self._rng, reply, provider)
        if row != "wire":
            stack.enter_context(mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", self._by_httpx))
            stack.enter_context(mock.patch.object(httpx2.AsyncHTTPTransport, "handle_async_request", self._by_httpx2))
            stack.enter_context(mock.patch.object(HTTPAdapter, "send", self._by_requests))

    def play(self, seed: int, number: int, tally: Tally, *, alarm: bool) -> None:
        """Judge one answer."""
        rng = self._rng = cases.chance(self._row, seed, number)
        provider = rng.choice(tuple(_FAKES)) if self._row == "wire" else self._row
        said: dict[str, object] = {}

        def work() -> None:
            out = self._folder / "out"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            try:
                self._runner.run(self._read(provider, order_for(rng, provider), out))
            finally:
                said.update({"status": self._sent.status, "headers": self._sent.headers, "body": self._sent.body})

        judged(tally, number, said, work, limit_s=LIMIT_S, alarm=alarm)

    async def _read(self, provider: str, order: msgspec.Struct, out: Path) -> None:
        if self._row != "wire":
            await _bought(provider, _settings(_ORIGIN), order, out)
            return
        async with served(self._rng, self) as address:
            await _bought(provider, _settings(address), order, out)

    def answer(self, call: Call, provider: str) -> Reply:
        """What is said to this request."""
        self._sent = self._says(_FAKES[provider].answer(call), provider)
        return self._sent

    def read(self, order: msgspec.Struct, says: Callable[[Reply], Reply]) -> Answer[Any]:
        """Have this order answered by what `says` makes of a right answer."""
        self._says = lambda reply, _: says(reply)
        return self._runner.run(_bought(self._row, _settings(_ORIGIN), order, self._folder))

    async def _by_httpx(self, request: httpx.Request) -> httpx.Response:
        status, headers, body = await self._said(request)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    async def _by_httpx2(self, request: httpx2.Request) -> httpx2.Response:
        status, headers, body = await self._said(request)
        return httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(body))

    async def _said(self, request: httpx.Request | httpx2.Request) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        headers, body = dict(request.headers), await request.aread()
        reply = self.answer(_call(request.method, str(request.url), headers, body), self._row)
        lines = [(name.encode(errors="replace"), text.encode(errors="replace")) for name, text in reply.headers.items()]
        return reply.status, lines, reply.body

    def _by_requests(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        lower = {str(name): str(text) for name, text in request.headers.items()}
        reply = self.answer(_call(str(request.method), str(request.url), lower, body), self._row)
        headers = {name: text.encode("latin-1", "replace").decode("latin-1") for name, text in reply.headers.items()}
        raw = HTTPResponse(io.BytesIO(reply.body), headers=headers, status=reply.status, preload_content=False)
        return HTTPAdapter().build_response(request, raw)


@contextmanager
def reader(row: str, folder: Path) -> Iterator[Reader]:
    """One that works in this folder."""
    with ExitStack() as stack:
        yield Reader(row, folder, stack)


def order_for(rng: random.Random, provider: str) -> msgspec.Struct:
    """What is asked for."""
    order = ORDERS[provider]
    if isinstance(order, SpeechOrder) and rng.random() > _SPOKEN_SHARE:
        return msgspec.structs.replace(order, language="de")
    if isinstance(order, SearchOrder):
        return msgspec.structs.replace(order, kind=rng.choice(("photo", "video")))
    return order


def spoilt(rng: random.Random, reply: Reply, provider: str) -> Reply:
    """The answer after accidents."""
    status = rng.choice(_STATUSES) if rng.random() < 0.2 else reply.status
    headers = {"Content-Type": reply.media_type, **reply.headers}
    body = reply.body
    if status != reply.status and rng.random() < 0.7:
        body = _FAKES[provider].failure(status, rng.choice(("", "no_credit", "bad_model", "wrong_key"))).body
    for _ in range(rng.choice((0, 0, 0, 1, 3))):
        headers[rng.choice(_HEADERS)] = rng.choice(("0", "-1", "1e9", "nan", "inf", cases.text(rng)[:500]))
    match rng.randrange(20):
        case 0:
            headers["Content-Encoding"] = rng.choice(_ENCODINGS)
        case 1:
            headers["Content-Encoding"], body = "gzip", cases.spoilt(rng, gzip.compress(body))
        case 2:
            other = rng.choice(tuple(_FAKES))
            body = _FAKES[other].failure(rng.choice(_STATUSES), "").body
        case 3:
            body = rng.choice((b"", b"null", b"[]", b"{}", b"0", b'""', b"<html>", b"\x00", b"{" * 5000))
        case 4 | 5 | 6:
            body = cases.spoilt(rng, body)
        case 7 | 8 | 9 if provider in ("elevenlabs", "google"):
            body = _with_other_sound(rng, body)
        case _:
            body = _changed(rng, body)
    return msgspec.structs.replace(reply, status=status, headers=headers, body=body)


def _changed(rng: random.Random, body: bytes) -> bytes:
    """JSON with wrong things in it; where a text is JSON itself, as a script is, in there too."""
    try:
        told = json.loads(body)
    except ValueError:
        return cases.spoilt(rng, body)
    try:
        message = told["choices"][0]["message"]
        if rng.random() < 0.5:
            message["content"] = cases.as_json(rng, cases.changed(rng, json.loads(message["content"]))).decode(
                errors="replace"
            )
            return json.dumps(told).encode()
    except (KeyError, TypeError, ValueError, IndexError):
        pass
    return cases.as_json(rng, cases.changed(rng, told))


def _with_other_sound(rng: random.Random, body: bytes) -> bytes:
    """Speech whose sound has had an accident: its base64, its header, its samples."""
    try:
        told = json.loads(body)
        name = next(name for name in ("audioContent", "audio_base64") if name in told)
    except (ValueError, StopIteration, TypeError):
        return cases.spoilt(rng, body)
    sound = base64.b64decode(told[name])
    if rng.random() < 0.2:
        told[name] = cases.spoilt(rng, told[name].encode()).decode("latin-1")
    elif rng.random() < 0.2:
        told[name] = base64.b64encode(sound[: rng.choice((0, 1, 2, 3, 44, 45, 46, 48, 50))]).decode()
    else:
        told[name] = base64.b64encode(cases.spoilt(rng, sound, head=60)).decode()
    return json.dumps(told).encode()


async def _bought(provider: str, settings: Providers, order: msgspec.Struct, out: Path) -> Answer[Any]:
    one = bought(provider, settings, order)
    try:
        answer = await one.call(out)
    except BilledError as error:
        msgspec.json.encode(error.used)
        _is_a_bill(error.used)
        raise
    _holds(one, answer, out)
    return answer


def _holds(one: Bought, answer: Answer[Any], out: Path) -> None:
    """What is bought can be kept, read again, and used by the next stage."""
    _is_a_bill(answer.used)
    written = msgspec.json.encode(answer)
    assert msgspec.json.decode(written, type=answer_type(one.adapter)) == answer, "it does not read alike again"
    # the record takes no NUL; of hits it keeps the credit alone
    kept = [hit.credit for hit in answer.result.hits] if isinstance(answer.result, Hits) else answer.result
    assert b"\\u0000" not in msgspec.json.encode(kept), "a NUL, which jsonb does not take"
    match answer.result:
        case Script(scenes=scenes, title=title):
            assert scenes, "no scenes"
            assert title.strip(), "no title"
        case Hits(hits=hits):
            for hit in hits:
                assert all(one.width > 0 and one.height > 0 for one in hit.renditions), "a picture without a size"
                assert hit.duration_s >= 0, "a clip of less than no time"
                hit.rendition_for(1920, 1080)
                hit.clip_for(1920, 1080)
        case Utterance(wav=name, duration_s=duration_s, words=words, sample_rate_hz=rate_hz):
            with wave.open(str(out / name)) as sound:
                assert sound.getframerate() == rate_hz, "another rate than it says"
                assert math.isclose(sound.getnframes() / rate_hz, duration_s, abs_tol=0.01), (
                    "another length than it says"
                )
            times = [time_s for word in words for time_s in (word.start_s, word.end_s)]
            assert times == sorted(times), "words that overlap"
            assert not times or (times[0] >= 0 and times[-1] <= duration_s + 1e-6), "words beyond the sound"


def _is_a_bill(used: dict[str, int]) -> None:
    assert all(type(count) is int and count >= 0 for count in used.values()), f"no bill: {used}"


def _settings(address: str) -> Providers:
    urls = {"openai_base_url": f"{address}/openai/v1", **{f"{name}_base_url": f"{address}/{name}" for name in ("pexels", "elevenlabs", "google")}}  # fmt: skip
    limits = {f"{name}_timeout_s": 2.0 for name in ("script", "search", "speech", "connect")}
    return msgspec.convert({f"{name}_api_key": key for name, key in KEYS.items()} | urls | limits, Providers)


def _call(method: str, url: str, headers: dict[str, str], body: bytes) -> Call:
    assert method in ("GET", "POST")
    parts = urlsplit(url)
    path = "/" + parts.path.split("/", 2)[2]
    lower = {name.lower(): text for name, text in headers.items()}
    return Call(path, dict(parse_qsl(parts.query)), lower, body, _ORIGIN, None)


@asynccontextmanager
async def served(rng: random.Random, reader: Reader) -> AsyncIterator[str]:
    """A server that answers one request after the other with accidents of the wire, too; its address."""

    async def serve(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await source.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
            lower = {name.lower(): text for name, text in headers.items()}
            body = await source.readexactly(int(lower.get("content-length", "0")))
            provider = path.split("/")[1]
            sink.write(_on_the_wire(rng, reader.answer(_call(method, f"{_ORIGIN}{path}", lower, body), provider)))
            await sink.drain()
        sink.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def _on_the_wire(rng: random.Random, reply: Reply) -> bytes:
    headers = {name: text.replace("\r", "").replace("\n", "") for name, text in reply.headers.items()}
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items()).encode("latin-1", "replace")
    body, length = reply.body, b"Content-Length: %d\r\n" % len(reply.body)
    match rng.randrange(8):
        case 0:
            length = b"Transfer-Encoding: chunked\r\n"
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        case 1:
            length = b"Transfer-Encoding: chunked\r\n"
            body = cases.spoilt(rng, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body), head=12)
        case 2:
            length = b"Content-Length: " + rng.choice((b"0", b"-1", b"1", b"99999999999", b"x", b"1, 2")) + b"\r\n"
        case 3:
            length = b""
    said = b"HTTP/1.1 %d OK\r\n%b%bConnection: close\r\n\r\n" % (reply.status, lines, length) + body
    return cases.spoilt(rng, said, head=200) if rng.random() < 0.3 else said
