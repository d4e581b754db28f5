"""What passes between the server and a fake provider: a call with its fault, and the reply that it earns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from tests.fakes.faults import Fault, Provider

#: The keys that the fakes know. They look like no key of theirs, so a mask by shape does not find them.
KEYS: Mapping[str, str] = {
    "openai": "open-sesame-openai-0123456789",
    "pexels": "open-sesame-pexels-0123456789",
    "elevenlabs": "open-sesame-elevenlabs-0123456789",
    "google": "open-sesame-google-0123456789",
}


class Call(msgspec.Struct, frozen=True):
    """One request: its path below the provider's address, and its parts, header names in lower case."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    #: Where this server is reached.
    origin: str
    fault: Fault | None

    def is_told(self, kind: str) -> bool:
        """Whether this very thing shall go wrong."""
        return self.fault is not None and self.fault.kind == kind

    def json(self) -> dict[str, Any]:
        """The body; raises for what is no JSON object."""
        return msgspec.json.decode(self.body, type=dict[str, Any])

    def fingerprint(self) -> str:
        """What was asked for, whoever asks."""
        asked = f"{self.path}?{sorted(self.query.items())}".encode() + self.body
        return hashlib.sha256(asked).hexdigest()


class Reply(msgspec.Struct, frozen=True):
    """One answer and what it costs."""

    status: int
    body: bytes
    billed: dict[str, int] = {}
    model: str = ""
    headers: dict[str, str] = {}
    media_type: str = "application/json"


class FakeProvider(Protocol):
    """Answers as one provider would."""

    name: Provider

    def answer(self, call: Call) -> Reply:
        """The answer on a good day, to a wrong key, model or text too."""

    def failure(self, status: int, kind: str) -> Reply:
        """How it says 401, 404, 429 or 500."""


def as_json(value: object) -> bytes:
    """The bytes of a JSON body."""
    return msgspec.json.encode(value)
