"""A circuit for each provider: after some failures in a row it is left alone for a while, then one call probes it.

Closed lets calls through, open refuses them at once, half-open lets a single one through whose outcome decides: each
probe that fails doubles the while, up to a bound, so that an hour without a provider costs few attempts. Kept in
memory: each process learns for itself, and forgets when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from schema.clock import Clock
from schema.errors import (
    ArtifactError,
    NotNowError,
    RateLimitedError,
    RecordUnavailableError,
    RetryableError,
    UnknownOutcomeError,
)

#: The longest while, in first ones.
_LONGEST: Final = 10


class CircuitOpenError(NotNowError):
    """A provider failed several times in a row and is left alone for a while: nothing was sent."""


class Circuit:
    """The circuit of one provider; for one loop."""

    def __init__(self, provider: str, clock: Clock, *, failures: int, open_s: float) -> None:
        self._provider, self._clock = provider, clock
        self._limit, self._open_s = failures, open_s
        self._failures = self._failed_probes = 0
        self._open_until_s = 0.0
        self._probing = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """What it does with the next call."""
        if self._failures < self._limit:
            return "closed"
        return "open" if self._clock.monotonic_s() < self._open_until_s else "half-open"

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Hold one call; raises CircuitOpenError instead of letting it begin.

        A failure of the provider counts, whatever else is raised says nothing of it: a refused prompt is an answer.
        """
        state = self.state
        if state == "open" or (state == "half-open" and self._probing):
            left_s = max(0.0, self._open_until_s - self._clock.monotonic_s())
            told = f"{self._provider} failed {self._failures} times in a row and is left alone for {left_s:.0f} s"
            raise CircuitOpenError(told, after_s=left_s or self._open_s)
        self._probing = state == "half-open"
        try:
            yield
        except (ArtifactError, RecordUnavailableError):
            raise  # ours
        except (RetryableError, UnknownOutcomeError) as error:
            self._failed(error)
            raise
        except Exception:
            self._failures = self._failed_probes = 0
            raise
        else:
            self._failures = self._failed_probes = 0
        finally:
            self._probing = False

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._failed_probes += self._probing
        pause_s = self._open_s * min(_LONGEST, 2**self._failed_probes)
        if isinstance(error, RateLimitedError) and error.retry_after_s is not None:
            pause_s = max(pause_s, error.retry_after_s)
        self._open_until_s = self._clock.monotonic_s() + pause_s


class Circuits:
    """One circuit for each provider, made when it is first asked for."""

    def __init__(self, clock: Clock, *, failures: int, open_s: float) -> None:
        self._clock, self._limit, self._open_s = clock, failures, open_s
        self._circuits: dict[str, Circuit] = {}

    def of(self, provider: str) -> Circuit:
        """The circuit of this provider."""
        if provider not in self._circuits:
            self._circuits[provider] = Circuit(provider, self._clock, failures=self._limit, open_s=self._open_s)
        return self._circuits[provider]
