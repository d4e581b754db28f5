"""The HTTP intake: a request as JSON, as a form, or as a CloudEvent becomes an event of stream:intake like any other.

The answer is intake's own receipt, so a place in the queue means that the request is in the record. Without an
Idempotency-Key the same body twice is two videos, with one the same key is one. Nothing is lost in between: a request
that got no answer may be sent again with the same key.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec

from deploy.gateway.parts import Parts
from deploy.gateway.patience import BusAwayError, from_bus
from schema import wire
from schema.errors import RefusedError, RetryableError
from schema.events import request
from streams import names, receipts
from streams.publish import publish

_PATIENCE_S: Final = 1.5
_RECEIPT_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.02
_LONGEST_POLL_S: Final = 0.2
#: JSON may spell a byte of the notes with six.
_ESCAPED: Final = 6
_CLOUDEVENT: Final = "application/cloudevents+json"
_CE: Final = "ce-"
#: In intake's words, when it can take no more.
_FULL: Final = "YTEMPIRE_WAITING_CAPACITY"
_EXAMPLE: Final = '{"topic": "Why octopuses have three hearts"}'


class MalformedError(RefusedError):
    """The body cannot be read."""


class FullError(RefusedError):
    """The queue is full, and so is what may wait: nothing was taken."""


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
    raw = {name.encode(errors="replace"): text.encode(errors="replace") for name, text in fields.items()}
    request.parse(raw, parts.settings.limits)
    send = partial(publish, parts.process.transport, names.INTAKE, raw, wait_s=_PATIENCE_S)
    try:
        entry = await from_bus(send, 2 * _PATIENCE_S)
        receipt = await _receipt(parts, names.receipt_key(entry))
    except BusAwayError as error:
        raise RetryableError(str(error), hint="send it again with the same Idempotency-Key") from error
    if receipt is None:
        raise RetryableError(
            f"sent as {entry}, but intake has not answered within {_RECEIPT_WITHIN_S:g} s",
            hint=f"redis-cli HGETALL {names.receipt_key(entry)}, or send it again with the same Idempotency-Key",
        )
    if "video" not in receipt:
        kind = FullError if _FULL in receipt.get("error", "") else RefusedError
        raise kind(receipt.get("error", "refused"), hint=receipt.get("hint", ""))
    parts.overview.forget()
    video = receipt["video"]
    links = {"status": f"/videos/{video}", "film": f"/videos/{video}/film"}
    return Submitted(video, receipt["status"], int(receipt["place"]), links)


async def _receipt(parts: Parts, key: str) -> dict[str, str] | None:
    read = partial(receipts.read, parts.process.transport, key)
    end_s, pause_s = time.monotonic() + _RECEIPT_WITHIN_S, _POLL_S
    while time.monotonic() < end_s:
        if (receipt := await from_bus(read, _RECEIPT_WITHIN_S)) is not None:
            return receipt
        await asyncio.sleep(pause_s)
        pause_s = min(1.5 * pause_s, _LONGEST_POLL_S)  # many may wait at once
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
    """Source and id together name a CloudEvent, also where they are longer than a key may be."""
    key = f"{source} {event_id}".strip()
    return key if len(key) <= request.KEY_MAX_CHARS else hashlib.sha256(key.encode(errors="replace")).hexdigest()
