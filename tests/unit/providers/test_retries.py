"""Retries: passing failures only, few, as late as was asked for, within a deadline, and deaf to no halt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from actors.providers.retries import tried
from schema.errors import (
    ArtifactError,
    PermanentError,
    RateLimitedError,
    RecordUnavailableError,
    RetryableError,
    UnknownOutcomeError,
)
from tests.fakes.clocks import HandClock


class Trial:
    """A call that fails as it is told to, on a clock that only pauses move."""

    def __init__(self, *failures: Exception) -> None:
        self.clock = HandClock()
        self.failures = list(failures)
        self.calls_at_s: list[float] = []
        self.checkpoints = 0
        self.stop_at: int | None = None

    async def call(self) -> str:
        """Fail as told, then deliver."""
        self.calls_at_s.append(self.clock.monotonic_s())
        if self.failures:
            raise self.failures.pop(0)
        return "delivered"

    def checkpoint(self) -> None:
        """Stop at the one that was named."""
        self.checkpoints += 1
        if self.checkpoints == self.stop_at:
            raise InterruptedError

    async def sleep(self, seconds: float) -> None:
        """Let the clock go on."""
        self.clock.advance(timedelta(seconds=seconds))

    def run(self, *, tries: int = 3, deadline_s: float = 60.0, retry_after_max_s: float = 20.0) -> Awaitable[str]:
        """Try it."""
        return tried(
            self.call,
            tries=tries,
            deadline_s=deadline_s,
            retry_after_max_s=retry_after_max_s,
            checkpoint=self.checkpoint,
            clock=self.clock,
            sleep=self.sleep,
        )


async def test_a_passing_failure_is_tried_again() -> None:
    trial = Trial(RetryableError("once"), RetryableError("twice"))
    assert await trial.run() == "delivered"
    assert len(trial.calls_at_s) == 3


async def test_tries_are_few() -> None:
    trial = Trial(*(RetryableError(str(number)) for number in range(9)))
    with pytest.raises(RetryableError, match="2"):
        await trial.run()
    assert len(trial.calls_at_s) == 3


@pytest.mark.parametrize("kind", [PermanentError, UnknownOutcomeError, RecordUnavailableError, ArtifactError])
async def test_what_is_not_the_providers_passing_trouble_is_never_sent_twice(
    kind: Callable[[str], Exception],
) -> None:
    trial = Trial(kind("no"))
    with pytest.raises(Exception, match="no"):
        await trial.run()
    assert len(trial.calls_at_s) == 1


async def test_a_pause_that_was_asked_for_is_kept_to() -> None:
    trial = Trial(RateLimitedError("wait", retry_after_s=7))
    await trial.run()
    assert 7 <= trial.calls_at_s[1] < 9.1


async def test_pauses_differ() -> None:
    waits = set()
    for _ in range(8):
        trial = Trial(RetryableError("no"), RetryableError("no"))
        await trial.run()
        waits.add(round(trial.calls_at_s[2], 1))
    assert len(waits) > 1


@pytest.mark.parametrize(("deadline_s", "longest_s"), [(5.0, 20.0), (60.0, 5.0)])
async def test_a_pause_that_is_too_long_goes_up_at_once(deadline_s: float, longest_s: float) -> None:
    trial = Trial(RateLimitedError("wait", retry_after_s=7))
    with pytest.raises(RateLimitedError):
        await trial.run(deadline_s=deadline_s, retry_after_max_s=longest_s)
    assert trial.calls_at_s == [0.0]


async def test_the_deadline_bounds_all_tries_together() -> None:
    trial = Trial(*(RateLimitedError("wait", retry_after_s=4) for _ in range(99)))
    with pytest.raises(RateLimitedError):
        await trial.run(tries=99, deadline_s=30)
    assert trial.clock.monotonic_s() <= 32.5
    assert len(trial.calls_at_s) < 9


async def test_a_halt_is_heard_within_a_pause() -> None:
    trial = Trial(RateLimitedError("wait", retry_after_s=10))
    trial.stop_at = 4
    with pytest.raises(InterruptedError):
        await trial.run()
    assert len(trial.calls_at_s) == 1
    assert trial.clock.monotonic_s() < 1
