"""The points at which a process can be told to die, as data: which call of ours, and when in it.

A point is the boundary of a method, so production has no line for it; one whose method is renamed is refused at once,
and never silently passed. Inside a method, between two of its own lines, there is no point.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Final, Literal, NamedTuple

import msgspec

#: Stands for each paid provider that the stage may buy from.
ADAPTER: Final = "{adapter}"
ADAPTERS: Final[Mapping[str, str]] = {
    "openai": "actors.providers.script.chat.Chat",
    "pexels": "actors.providers.media.pexels.Pexels",
    "elevenlabs": "actors.providers.audio.elevenlabs.ElevenLabs",
    "google": "actors.providers.audio.google.Google",
}


class Point(msgspec.Struct, frozen=True):
    """The boundary of one method, by its dotted name.

    before: it was not begun. after: it has returned, and nobody has heard of it. during: it was begun; only whoever
    looks from outside can tell how far it is, so the process marks that it is there and is killed from outside.
    """

    method: str
    moment: Literal["before", "during", "after"]


POINTS: Final[Mapping[str, Point]] = {
    "before_reserve": Point("schema.money.ledger.Ledger.reserve", "before"),
    "after_reserve": Point("schema.money.ledger.Ledger.reserve", "after"),
    "after_sent": Point("schema.money.ledger.Ledger.sent", "after"),
    "in_call": Point(f"{ADAPTER}.call", "during"),
    "after_call": Point(f"{ADAPTER}.call", "after"),
    "after_file": Point("schema.artifacts.Artifacts.put", "after"),
    "before_settle": Point("schema.money.ledger.Ledger.settle", "before"),
    "before_commit": Point("schema.record.claims.Claims.commit", "before"),
    "after_commit": Point("schema.record.claims.Claims.commit", "after"),
    "before_ack": Point("streams.transport.over_redis.RedisTransport.settle", "before"),
}


class Method(NamedTuple):
    """A method as it is looked up: the class that defines it, and its name there."""

    owner: type
    name: str


def named(name: str) -> Point:
    """The point of this name; raises LookupError with those there are."""
    try:
        return POINTS[name]
    except KeyError:
        raise LookupError(f"there is no point {name!r}; there are {', '.join(POINTS)}") from None


def resolved(point: Point, providers: Iterable[str] = ()) -> list[Method]:
    """The methods that it means, those of `providers` where it is one of theirs.

    Raises LookupError, saying what is missing, where a method is not there.
    """
    if ADAPTER not in point.method:
        return [_method(point.method)]
    methods = [_method(point.method.replace(ADAPTER, ADAPTERS[name])) for name in providers if name in ADAPTERS]
    if not methods:
        raise LookupError(f"{point.method} is a point of paid providers, and this actor buys from none")
    return methods


def _method(dotted: str) -> Method:
    module, class_name, name = dotted.rsplit(".", maxsplit=2)
    try:
        owner = getattr(import_module(module), class_name)
        vars(owner)[name]
    except (ImportError, AttributeError, KeyError) as error:
        told = f"there is no {dotted}, where a process was to die ({type(error).__name__}: {error})"
        raise LookupError(told) from error
    return Method(owner, name)
