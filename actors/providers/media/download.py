"""Fetches a file from the web without trusting it: public addresses only, bounded in size and time, and of its kind.

A host is resolved once, every address it has must be public, and the connection goes to one of those very addresses,
so a name that changes between look and use gains nothing; each redirect is looked at in the same way. Proxies of the
environment are not used, as they would choose the address. It says what a file is by its first bytes; whether the
rest can be decoded is for whoever opens it.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx
import msgspec

from actors.providers import outcomes
from actors.providers.outcomes import Who
from schema.errors import PermanentError, PipelineError, RetryableError, UnknownOutcomeError
from schema.settings.providers import Providers
from schema.wire import shown

Kind = Literal["image", "video"]
#: All addresses of a host.
Resolve = Callable[[str, int], Awaitable[list[str]]]

_MOST_REDIRECTS = 3
_HEAD_BYTES = 16
#: All that IPv6 has given out to the internet so far; the rest is local, historic or nobody's yet.
_GLOBAL = ipaddress.ip_network("2000::/3")
#: What Python 3.11 takes for public: for documents, and relays of 6to4.
_NOWHERE = (ipaddress.ip_network("3fff::/20"), ipaddress.ip_network("192.88.99.0/24"))
_WHO = Who("the file server", "", "the address", ())


class Fetched(msgspec.Struct, frozen=True):
    """A file that is complete under its name."""

    path: Path
    media_type: str
    size_bytes: int
    sha256: str


class Downloads:
    """Fetches files by the settings' bounds."""

    def __init__(
        self, settings: Providers, *, resolve: Resolve | None = None, allows: Callable[[str], bool] | None = None
    ) -> None:
        self._settings = settings
        self._allows = allows or is_public
        self._resolve = resolve or _resolved
        self._trusted = _loopback_origin(settings.pexels_base_url)

    async def fetch(self, url: str, path: Path, *, kind: Kind) -> Fetched:
        """Leave the file at `url` under the name `path`.

        Raises:
            PermanentError: it may not be fetched, is too large, or is not of its kind.
            RetryableError: it could not be fetched now.
        """
        limit_s = self._settings.download_timeout_s
        part = path.with_name(f"{path.name}.part")
        try:
            async with asyncio.timeout(limit_s):
                return await self._fetch(url, path, part, kind)
        except TimeoutError:
            failure: PipelineError = RetryableError(f"a file did not come within {limit_s:g} s")
        except (httpx.TransportError, httpx.DecodingError, OSError) as error:
            failure = RetryableError(f"a file cannot be fetched: {type(error).__name__}")
        except (httpx.InvalidURL, ValueError) as error:
            failure = PermanentError(f"got a file at {shown(url)!r}, which is no address ({type(error).__name__})")
        finally:
            part.unlink(missing_ok=True)
        raise failure

    async def _fetch(self, url: str, path: Path, part: Path, kind: Kind) -> Fetched:
        timeout = httpx.Timeout(self._settings.download_timeout_s, connect=self._settings.connect_timeout_s)
        # certificates of the environment are honoured, its proxies are not
        context = httpx.create_ssl_context()
        async with httpx.AsyncClient(
            timeout=timeout, follow_redirects=False, trust_env=False, verify=context
        ) as client:
            for _ in range(_MOST_REDIRECTS + 1):
                request = await self._pinned(client, url)
                response = await client.send(request, stream=True)
                try:
                    if not response.has_redirect_location:
                        return await self._kept(response, path, part, kind)
                    url = str(httpx.URL(url).join(response.headers["location"]))
                finally:
                    await response.aclose()
        raise PermanentError(f"got more than {_MOST_REDIRECTS} redirects", hint="the file is not where it was said")

    async def _pinned(self, client: httpx.AsyncClient, url: str) -> httpx.Request:
        """A request that goes to an address which was looked at, under the name that was asked for."""
        parts = urlsplit(url)
        if self._trusted and url.startswith(self._trusted + "/"):
            return client.build_request("GET", url)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None:
            raise PermanentError(f"got a file at {parts.scheme}://{parts.hostname}, expected https without a user")
        addresses = await self._resolve(parts.hostname, parts.port or 443)
        if not addresses or not all(map(self._allows, addresses)):
            raise PermanentError(
                f"{parts.hostname} is not a public host", hint="files are fetched from public addresses only"
            )
        literal = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        pinned = httpx.URL(url).copy_with(host=literal)
        host = parts.hostname if parts.port in {None, 443} else f"{parts.hostname}:{parts.port}"
        return client.build_request(
            "GET", pinned, headers={"Host": host}, extensions={**_extensions(client), "sni_hostname": parts.hostname}
        )

    async def _kept(self, response: httpx.Response, path: Path, part: Path, kind: Kind) -> Fetched:
        if response.status_code != 200:  # noqa: PLR2004 - OK; nothing else is a whole file
            failure = outcomes.from_status(_WHO, response.status_code, "", response.headers)
            if isinstance(failure, UnknownOutcomeError):  # nothing is billed here
                failure = RetryableError(f"the file server answered {response.status_code}")
            raise failure
        most = self._settings.download_max_bytes
        too_large = PermanentError(
            f"got a file of more than {most} bytes", hint="raise YTEMPIRE_DOWNLOAD_MAX_BYTES, or take a smaller one"
        )
        if int(response.headers.get("content-length") or 0) > most:
            raise too_large
        claimed = response.headers.get("content-type", "").split(";")[0].strip().lower()
        digest, size, head = hashlib.sha256(), 0, b""
        with part.open("wb") as file:
            async for chunk in _chunks(response):
                size += len(chunk)
                if size > most:
                    raise too_large
                head = (head + chunk)[:_HEAD_BYTES] if len(head) < _HEAD_BYTES else head
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            os.fsync(file.fileno())
        found = media_type(head)
        if not found.startswith(f"{kind}/") or (claimed.startswith(("image/", "video/")) and claimed != found):
            told = f"got {found or 'an unknown kind of file'} (said to be {claimed or 'nothing'}), expected {kind}"
            raise PermanentError(told, hint="the file is not what it was said to be")
        await asyncio.to_thread(part.replace, path)
        return Fetched(path, found, size, digest.hexdigest())


def media_type(head: bytes) -> str:
    """What a file is by its first bytes; empty when it is nothing that a film can show."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] != b"qt  ":
        return "video/mp4"
    return ""


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet, the IPv4 address inside an IPv6 one included."""
    try:
        ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _GLOBAL:
            return False
    if any(ip in network for network in _NOWHERE):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


async def _resolved(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _extensions(client: httpx.AsyncClient) -> dict[str, dict[str, float | None]]:
    return {"timeout": client.timeout.as_dict()}


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it was sent: a packed one would get round the bound on its size."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise PermanentError("got a packed file, expected a plain one", hint="the server ignores Accept-Encoding")
    async for chunk in response.aiter_raw():
        yield chunk


def _loopback_origin(base_url: str) -> str:
    """The origin of a base URL on this machine, from which files may come in the clear; empty for any other."""
    parts = urlsplit(base_url)
    is_ours = parts.hostname in {"127.0.0.1", "::1", "localhost"}
    return f"{parts.scheme}://{parts.netloc}" if is_ours else ""
