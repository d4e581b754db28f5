"""Bounds what a provider's answer may weigh, counted as it comes and as it is unpacked.

For the clients that are built on httpx: an event hook that reads the whole body before anybody else does. An answer
without an end, or one that unpacks to a thousand times its size, breaks off here instead of filling the memory. One
piece off the wire (64 KiB) is unpacked at once, so what is held is at most the bound and the sixty megabytes that such
a piece can become.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx

#: A script or a search is some kilobytes.
TEXT_MAX_BYTES: Final = 8 << 20
#: Ten minutes of speech at 24 kHz, in base64, with its times.
SPEECH_MAX_BYTES: Final = 96 << 20

Hooks = dict[str, list[Callable[..., Awaitable[Any]]]]


def at_most(most_bytes: int) -> Hooks:
    """The event hooks of a client whose answers may weigh so much; more is a connection that broke."""

    async def weigh(response: httpx.Response) -> None:
        parts, size_bytes = [], 0
        async for part in response.aiter_bytes():
            size_bytes += len(part)
            if size_bytes > most_bytes:
                await response.aclose()
                raise httpx.ReadError(f"the answer weighs more than {most_bytes} bytes", request=response.request)
            parts.append(part)
        response._content = b"".join(parts)  # noqa: SLF001 - what its own `aread` would set

    return {"response": [weigh]}
