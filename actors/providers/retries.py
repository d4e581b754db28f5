"""Tries a call again when it failed in a passing way: few times, with jitter, within a deadline.

A provider's `Retry-After` is kept to, and where it is longer than the deadline or than what the settings allow, the
failure goes up at once and the chain moves on. `checkpoint` is called between the slices of a pause, so a halt is
heard within one. What may have been billed is never tried again here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from actors.providers.ports import Checkpoint
from schema.clock import Clock, SystemClock
from schema.errors import ArtifactError, RateLimitedError, RecordUnavailableError, RetryableError

Result = TypeVar("Result")
Sleep = Callable[[float], Awaitable[None]]

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 8.0
#: How long a halt may go unheard during a pause.
_SLICE_S = 0.25


def passing(error: BaseException) -> bool:
    """Whether the same call may succeed in a moment: the provider's trouble, not that of our record or storage."""
    return isinstance(error, RetryableError) and not isinstance(error, ArtifactError | RecordUnavailableError)


async def tried(
    call: Callable[[], Awaitable[Result]],
    *,
    tries: int,
    deadline_s: float,
    retry_after_max_s: float,
    checkpoint: Checkpoint,
    clock: Clock | None = None,
    sleep: Sleep = asyncio.sleep,
) -> Result:
    """Await `call` up to `tries` times.

    Args:
        call: makes the request anew each time.
        tries: all requests together, the first included.
        deadline_s: no pause is begun that would end later than this after the first request.
        retry_after_max_s: longest pause that a provider may ask for.
        checkpoint: raises what shall stop the work; called before each request and during pauses.
        clock: for the deadline.
        sleep: for the pauses.

    Raises:
        Whatever the last request raised.
    """
    clock = clock or SystemClock()
    end_s = clock.monotonic_s() + deadline_s
    random_s = wait_random_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S)

    def pause_s(state: RetryCallState) -> float:
        asked_s = _asked_s(state)
        # jitter on top of what was asked for: all who were refused at once must not come back at once
        return random_s(state) if asked_s is None else asked_s + random_s(state) / 4

    def give_up(state: RetryCallState) -> bool:
        asked_s = _asked_s(state) or 0.0
        return asked_s > retry_after_max_s or clock.monotonic_s() + max(asked_s, state.upcoming_sleep) > end_s

    async def slices(seconds: float) -> None:
        while seconds > 0:
            checkpoint()
            await sleep(min(seconds, _SLICE_S))
            seconds -= _SLICE_S

    async for attempt in AsyncRetrying(
        retry=retry_if_exception(passing),
        wait=pause_s,
        stop=lambda state: stop_after_attempt(tries)(state) or give_up(state),
        sleep=slices,
        reraise=True,
    ):
        with attempt:
            checkpoint()
            return await call()
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _asked_s(state: RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome is not None else None
    return error.retry_after_s if isinstance(error, RateLimitedError) else None
