"""Bodies of requests: read no further than can be used, and understood or refused in words."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import ClientException

from schema.events.command import REASON_MAX_CHARS
from schema.wire import CONTROL, shown

Asked = Request[Any, Any, State]
_REASON_MAX_BYTES: Final = 10_000
_OBJECT_MAX_BYTES: Final = 100_000
#: A reason that does not come in time is done without.
_REASON_WITHIN_S: Final = 1.0


async def body(request: Asked, most: int) -> bytes:
    """The body, read no further than `most` bytes; raises ClientException (413) beyond."""
    too_large = ClientException(
        f"the body is larger than {most:,} bytes, which is all that can be used",
        status_code=413,
        headers={"connection": "close"},  # else the server would read the rest, to throw it away
    )
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said[:20]) > most:
        raise too_large
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > most:
            raise too_large
    return bytes(read)


async def json_object(request: Asked) -> dict[str, object]:
    """The body as a JSON object; raises ClientException."""
    try:
        told = msgspec.json.decode(await body(request, _OBJECT_MAX_BYTES))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ClientException(f"the body is not JSON: {shown(str(error))}") from None
    if not isinstance(told, dict):
        raise ClientException(f"the body is a {type(told).__name__}: expected an object")
    return told


async def reason(request: Asked) -> str:
    """The reason that a command's body gives, if it can be read; no command fails for its body."""
    try:
        told = msgspec.json.decode(await asyncio.wait_for(body(request, _REASON_MAX_BYTES), _REASON_WITHIN_S))
    except Exception:  # noqa: BLE001 - not there, not JSON, too large, too slow, too deep: a halt is a halt
        return ""
    return CONTROL.sub(" ", str(told.get("reason", "")))[:REASON_MAX_CHARS] if isinstance(told, dict) else ""
