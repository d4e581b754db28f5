"""Tries providers in order until one delivers, and keeps what became of each: a fallback is never silent.

A choice that buys is handed `buy`, already behind its provider's circuit. Any way in which a provider can fail moves
on to the next, and a call that does not fit the budget to the provider's cheaper way first; what stops the work
itself, a halt or our own record being away, passes through. The chain neither retries nor pays: `buy` does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar

import msgspec
import structlog

from actors.providers.breaker import CircuitOpenError, Circuits
from actors.providers.ports import Adapter, Answer, Checkpoint
from schema.documents import Step
from schema.errors import (
    ArtifactError,
    BudgetError,
    ConfigurationError,
    NotNowError,
    PermanentError,
    RecordUnavailableError,
    RetryableError,
    UnknownOutcomeError,
)

_log = structlog.get_logger(__name__)
Order = TypeVar("Order", bound=msgspec.Struct)
Bought = TypeVar("Bought", bound=msgspec.Struct)
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Buy(Protocol):
    """Reserves, sends and settles one order; files of the result are left in `out`."""

    async def __call__(self, adapter: Adapter[Order, Bought], order: Order, out: Path) -> Answer[Bought]:
        """The answer, bought now or before."""


class Choice(Protocol[Result_co]):
    """One provider's way to deliver what a stage needs."""

    @property
    def provider(self) -> str:
        """As the chain's setting names it."""

    async def __call__(self, buy: Buy) -> Result_co:
        """Deliver; a provider that is free makes no use of `buy`."""


class Local(Generic[Result]):
    """A choice that costs nothing."""

    def __init__(self, provider: str, make: Callable[[], Awaitable[Result]]) -> None:
        self.provider, self._make = provider, make

    async def __call__(self, buy: Buy) -> Result:  # noqa: ARG002 - nothing is bought
        """Make it."""
        return await self._make()


class Paid(Generic[Result]):
    """A choice that buys, once or several times: `deliver` is handed `buy`."""

    def __init__(
        self, provider: str, deliver: Callable[[Buy], Awaitable[Result]], *, cheaper: Choice[Result] | None = None
    ) -> None:
        """`cheaper` is tried next where this one does not fit the budget, and only then."""
        self.provider, self._deliver, self.cheaper = provider, deliver, cheaper

    async def __call__(self, buy: Buy) -> Result:
        """Buy it."""
        return await self._deliver(buy)


class Delivered(msgspec.Struct, Generic[Result], frozen=True):
    """What the chain delivered; the last step names who did it, those before it why they did not."""

    result: Result
    steps: tuple[Step, ...]


async def deliver(
    choices: Sequence[Choice[Result]], *, buy: Buy, circuits: Circuits, checkpoint: Checkpoint
) -> Delivered[Result]:
    """The first delivery there is.

    Raises:
        BudgetError: nothing but the budget stood in the way of all of them.
        NotNowError: none was even asked that may deliver in a while.
        RetryableError: none delivered, and one of them may in a while.
        PermanentError: none delivered and none will.
    """
    steps: list[Step] = []
    errors: list[Exception] = []
    left = deque(choices)
    while left:
        choice = left.popleft()
        checkpoint()
        try:
            result = await choice(_guarded(buy, circuits))
        except (ArtifactError, RecordUnavailableError):
            raise  # ours, not the provider's
        except (PermanentError, ConfigurationError, RetryableError, UnknownOutcomeError) as error:
            outcome: Literal["passed_over", "failed"] = "failed"
            if isinstance(error, BudgetError | CircuitOpenError | ConfigurationError):
                outcome = "passed_over"
            steps.append(Step(choice.provider, outcome, _reason(error)))
            errors.append(error)
            if isinstance(error, BudgetError) and isinstance(choice, Paid) and choice.cheaper is not None:
                left.appendleft(choice.cheaper)
            _log.warning("provider.gave_way", provider=choice.provider, outcome=outcome, reason=steps[-1].reason)
        else:
            return Delivered(result, (*steps, Step(choice.provider, "used")))
    raise _nobody(steps, errors)


def _guarded(buy: Buy, circuits: Circuits) -> Buy:
    async def guarded(adapter: Adapter[Order, Bought], order: Order, out: Path) -> Answer[Bought]:
        with circuits.of(adapter.service).guard():
            return await buy(adapter, order, out)

    return guarded


def _reason(error: Exception) -> str:
    hint = getattr(error, "hint", "")
    return f"{error} ({hint})" if hint else str(error)


def _nobody(steps: list[Step], errors: list[Exception]) -> Exception:
    if len(errors) == 1:
        return errors[0]
    told = "no provider delivered: " + "; ".join(f"{step.provider}: {step.reason}" for step in steps)
    hint = next((hint for error in reversed(errors) if (hint := getattr(error, "hint", ""))), "")
    if errors and all(isinstance(error, BudgetError) for error in errors):
        return BudgetError(told, hint=hint)
    may = [error for error in errors if isinstance(error, RetryableError | UnknownOutcomeError)]
    after_s = [error.after_s for error in may if isinstance(error, NotNowError)]
    if may and len(after_s) == len(may):
        return NotNowError(told, hint=hint, after_s=min(after_s))
    if may:
        return RetryableError(told, hint=hint)
    return PermanentError(told, hint=hint)
