"""Receipts: what became of an event, for its sender to read with one command (`HGETALL receipt:<id>`).

Kept for a week in Redis, and lost with it: the record knows better. A missing receipt means not yet, or not any more.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from streams.transport.port import Transport

TTL_S: Final = 7 * 24 * 3600.0
_POLL_S: Final = 0.02


def write(transport: Transport, key: str, fields: Mapping[str, str], ttl_s: float = TTL_S) -> None:
    """Answers an event, in place of an earlier answer."""
    transport.put_receipt(key, fields, ttl_s)


def read(transport: Transport, key: str) -> dict[str, str] | None:
    """The answer, if there is one."""
    return transport.get_receipt(key)


def wait(transport: Transport, key: str, timeout_s: float) -> dict[str, str] | None:
    """The answer as soon as there is one, or None after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while (receipt := read(transport, key)) is None and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    return receipt
