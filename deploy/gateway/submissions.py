"""The HTTP intake: a request as JSON, as a form, or as a CloudEvent becomes an event of stream:intake like any other.

The answer is intake's own receipt, so a place in the queue means that the request is in the record. Without an
Idempotency-Key the same body twice is two videos, with one the same key is one. Nothing is lost in between: a request
that got no answer may be sent again with the same key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec

from deploy.gateway.parts import Parts
from schema import wire
from schema.errors import RefusedError, RetryableError
from schema.events import request
from streams import names, receipts
from streams.publish import publish
from streams.transport.port import BusUnavailableError

_PATIENCE_S: Final = 3.0
_RECEIPT_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.02
#: JSON may spell a byte of the notes with six.
_ESCAPED: Final = 6
_CLOUDEVENT: Final = "application/cloudevents+json"
_CE: Final = "ce-"
_EXAMPLE: Final = '{"topic": "Why octopuses have three hearts"}'


class MalformedError(RefusedError):
    """The body cannot be read."""


class Submitted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer: the video's name and its place in the queue, which counts from 1."""

    video: str
    status: str
    place: int
    links: dict[str, str] = {}


def most_bytes(parts: Parts) -> int:
    """The largest body that is looked at."""
    return _ESCAPED * (parts.settings.limits.notes_max_bytes + request.OTHER_MAX_BYTES)


def fields_of(body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
    """The event's fields, from a body and the names of headers in lower case; raises RefusedError."""
    kind = headers.get("content-type", "").partition(";")[0].strip().casefold()
    told = _decoded(body)
    key = headers.get("idempotency-key", "")
    if kind == _CLOUDEVENT or "specversion" in told:
        data = told.get("data")
        if not isinstance(data, dict):
            raise RefusedError("the CloudEvent has no data object", hint='"data": ' + _EXAMPLE)
        key = key or _cloud_key(str(told.get("source", "")), str(told.get("id", "")))
        told = data
    elif headers.get(f"{_CE}id"):
        key = key or _cloud_key(headers.get(f"{_CE}source", ""), headers[f"{_CE}id"])
    fields = {str(name): _text(str(name), value) for name, value in told.items() if value is not None}
    if key and not fields.get("key"):
        fields["key"] = key
    if (parent := headers.get("traceparent")) and "traceparent" not in fields:
        fields["traceparent"] = parent
    return fields


async def submit(parts: Parts, fields: dict[str, str]) -> Submitted:
    """Publish the request and wait for its receipt.

    Raises RefusedError as intake refuses, RetryableError when nobody took it in time.
    """
    # what intake would refuse without looking at anything else is refused before it travels
    request.parse(
        {name.encode(): text.encode(errors="replace") for name, text in fields.items()}, parts.settings.limits
    )
    transport = parts.process.transport
    try:
        entry = await asyncio.to_thread(publish, transport, names.INTAKE, fields, wait_s=_PATIENCE_S)
        receipt = await _receipt(parts, names.receipt_key(entry))
    except BusUnavailableError as error:
        raise RetryableError(str(error), hint="send it again with the same Idempotency-Key") from error
    if receipt is None:
        raise RetryableError(
            f"sent as {entry}, but intake has not answered within {_RECEIPT_WITHIN_S:g} s",
            hint=f"redis-cli HGETALL {names.receipt_key(entry)}, or send it again with the same Idempotency-Key",
        )
    if "video" not in receipt:
        raise RefusedError(receipt.get("error", "refused"), hint=receipt.get("hint", ""))
    video = receipt["video"]
    links = {"status": f"/videos/{video}", "film": f"/videos/{video}/film"}
    return Submitted(video, receipt["status"], int(receipt["place"]), links)


async def _receipt(parts: Parts, key: str) -> dict[str, str] | None:
    for _ in range(round(_RECEIPT_WITHIN_S / _POLL_S)):
        if (receipt := await asyncio.to_thread(receipts.read, parts.process.transport, key)) is not None:
            return receipt
        await asyncio.sleep(_POLL_S)
    return None


def _decoded(body: bytes) -> dict[str, object]:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        got = f"{wire.shown(body[:40])!r}" if body else "nothing"
        raise MalformedError(f"the body is not JSON ({error}): got {got}", hint=_EXAMPLE) from None
    except RecursionError:
        raise MalformedError("the body is nested too deeply", hint=_EXAMPLE) from None
    if not isinstance(told, dict):
        raise MalformedError(f"the body is a {type(told).__name__}: expected an object", hint=_EXAMPLE)
    return told


def _text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError(f"{wire.shown(name)} is a {type(value).__name__}: expected text or a number", hint=_EXAMPLE)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cloud_key(source: str, event_id: str) -> str:
    """Source and id together name a CloudEvent."""
    return f"{source} {event_id}".strip()[: request.KEY_MAX_CHARS]
