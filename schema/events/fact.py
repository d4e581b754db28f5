"""What a stage publishes when it has committed: a small, flat event that says what is true now, by reference only.

Its id follows from what it says, so a fact that is published again is the same fact. Delivery may repeat and reorder
facts; the record decides who works, never a fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from schema import flow, wire
from schema.errors import RefusedError

#: The version of the words between stages that this program speaks.
VERSION = 1

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Instant = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]


class Fact(msgspec.Struct, frozen=True):
    """One thing that happened to a video; `at` is UTC with milliseconds, as `stamp` writes it."""

    type: Name
    id: Name
    video: Name
    stage: Name
    attempt: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    at: Instant
    v: int = VERSION
    traceparent: str = ""
    outcome: str = ""
    reason: str = ""


def fact_id(video: str, stage: str, attempt_take: int) -> str:
    """The id of what `stage` says of `video` in this attempt: the same words, the same id."""
    return f"{video}.{stage}.{attempt_take}"


def admission(video: str, *, at: datetime, traceparent: str, number: int = 1) -> Fact:
    """The fact that starts a video's first stage; `number` counts its admissions, of which retries make more."""
    return Fact(
        type=flow.ADMITTED_FACT,
        id=fact_id(video, "admitted", number),
        video=video,
        stage="dispatch",
        attempt=number,
        at=stamp(at),
        traceparent=traceparent,
    )


def stamp(now: datetime) -> str:
    """An instant as events carry it: UTC, milliseconds, Z."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_fields(fact: Fact) -> dict[str, str]:
    """The fact as it travels."""
    return wire.to_fields(fact)


def spoken(raw: Mapping[bytes, bytes]) -> bytes:
    """The version that an entry speaks; ours where it says none."""
    return raw.get(b"v", b"%d" % VERSION)


def from_fields(raw: Mapping[bytes, bytes]) -> Fact:
    """The fact that an entry says; fields it does not know are ignored.

    Raises RefusedError, with a right line as its hint, when a field is missing, undecodable or of the wrong kind, or
    when the entry speaks a version that this program does not.
    """
    if (version := spoken(raw)) != b"%d" % VERSION:
        message = f"v is {wire.shown(version)!r}: this program speaks version {VERSION}"
        raise RefusedError(message, hint="upgrade this process, then put the event back with requeue")
    try:
        return wire.from_fields(raw, Fact)
    except RefusedError as error:
        raise RefusedError(str(error), hint=_EXAMPLE) from None


_EXAMPLE = wire.line(
    "stream:scripts",
    to_fields(Fact("script.written", fact_id("VIDEO", "script", 1), "VIDEO", "script", 1, "2026-01-31T12:00:00.000Z")),
)
