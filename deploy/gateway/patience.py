"""How long an answer waits for Postgres and for Redis: not as long as the factory's processes do.

Whoever asks gets an answer, if only that one of them is away. What was asked is given up on, and nobody waits for it to
end: a question to Postgres is cancelled, a call that blocks on Redis ends in its thread within some seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from schema.errors import RecordUnavailableError, RetryableError
from streams.transport.port import BusClosedError, BusUnavailableError

T = TypeVar("T")
#: How long Postgres may stay silent before an answer says so.
RECORD_PATIENCE_S: Final = 2.5
#: The same for Redis.
BUS_PATIENCE_S: Final = 2.0


class BusAwayError(RetryableError):
    """Redis does not answer."""


async def soon(asked: Awaitable[T], patience_s: float = RECORD_PATIENCE_S) -> T:
    """What the record answers; raises RecordUnavailableError where it does not in time."""
    try:
        return await _within(asked, patience_s)
    except TimeoutError:
        raise RecordUnavailableError(
            f"Postgres does not answer within {patience_s:g} s", hint="./ytempire doctor"
        ) from None


async def from_bus(ask: Callable[[], T], patience_s: float = BUS_PATIENCE_S) -> T:
    """What Redis answers to a call that blocks; raises BusAwayError where it does not in time."""
    try:
        return await _within(asyncio.to_thread(ask), patience_s)
    except (TimeoutError, BusUnavailableError, BusClosedError):
        raise BusAwayError(f"Redis does not answer within {patience_s:g} s", hint="./ytempire doctor") from None


async def _within(asked: Awaitable[T], patience_s: float) -> T:
    """What comes in time; unlike `wait_for` it does not wait for what was given up on to end."""
    task = asyncio.ensure_future(asked)
    try:
        done, _ = await asyncio.wait({task}, timeout=patience_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # nobody else asks how it ended
        task.cancel()
        raise TimeoutError
    return task.result()
