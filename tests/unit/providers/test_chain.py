"""The chain: in order, each step kept, nothing silent; a halt and our own trouble are no provider's failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.providers.breaker import Circuits
from actors.providers.chain import Buy, Choice, Delivered, Local, Paid, deliver
from actors.providers.ports import Answer, Resend
from schema.documents import Step
from schema.errors import (
    ArtifactError,
    BilledError,
    BudgetError,
    ConfigurationError,
    NotNowError,
    PermanentError,
    RecordUnavailableError,
    RetryableError,
    UnknownOutcomeError,
)
from tests.fakes.clocks import HandClock


class Text(msgspec.Struct, frozen=True):
    """An order, and what is delivered for it."""

    text: str


class Shop:
    """An adapter that answers or raises; buying from it is counted."""

    resend: Resend = "free"
    model = "m"

    def __init__(self, service: str, *outcomes: Exception | str) -> None:
        self.service, self.outcomes = service, list(outcomes)
        self.asked = 0

    def worst_case(self, order: Text) -> dict[str, int]:  # noqa: ARG002 - always the same
        """One request."""
        return {"requests": 1}

    async def call(self, order: Text, reservation: object, out: Path) -> Answer[Text]:  # noqa: ARG002 - likewise
        """The next outcome."""
        self.asked += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return Answer(Text(outcome), {"requests": 1})


async def buy(adapter: Any, order: Any, out: Path) -> Answer[Any]:  # noqa: ANN401 - any adapter and its order
    answer: Answer[Any] = await adapter.call(order, None, out)
    return answer


def paid(shop: Shop, orders: int = 1) -> Paid[str]:
    async def all_of_them(purchase: Buy) -> str:
        texts = [(await purchase(shop, Text("order"), Path())).result.text for _ in range(orders)]
        return " ".join(texts)

    return Paid(shop.service, all_of_them)


def local(text: str = "local", error: Exception | None = None) -> Local[str]:
    async def make() -> str:
        if error:
            raise error
        return text

    return Local("local", make)


async def delivered(*choices: Choice[str], checkpoint: Callable[[], None] = lambda: None) -> Delivered[str]:
    circuits = Circuits(HandClock(), failures=3, open_s=30)
    return await deliver(choices, buy=buy, circuits=circuits, checkpoint=checkpoint)


async def test_the_first_that_delivers_is_used_and_the_rest_not_asked() -> None:
    second = Shop("google", "never")
    done = await delivered(paid(Shop("elevenlabs", "a", "b"), orders=2), paid(second), local())
    assert (done.result, done.steps, second.asked) == ("a b", (Step("elevenlabs", "used"),), 0)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (PermanentError("refused", hint="look"), "failed"),
        (BilledError("no sound", used={"characters": 3}, hint="look"), "failed"),
        (RetryableError("down", hint="look"), "failed"),
        (UnknownOutcomeError("cut", hint="look"), "failed"),
        (BudgetError("0.10 does not fit 0.05", hint="look"), "passed_over"),
        (ConfigurationError("no key", hint="look"), "passed_over"),
    ],
)
async def test_each_way_to_fail_moves_on_and_is_kept(error: PermanentError, outcome: str) -> None:
    done = await delivered(paid(Shop("elevenlabs", error)), paid(Shop("google", "said")))
    assert done.result == "said"
    assert done.steps == (Step("elevenlabs", outcome, f"{error} (look)"), Step("google", "used"))  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [ArtifactError("ours"), RecordUnavailableError("ours"), InterruptedError("halt")])
async def test_our_own_trouble_passes_through(error: Exception) -> None:
    google = Shop("google", "said")
    with pytest.raises(type(error)):
        await delivered(paid(Shop("elevenlabs", error)), paid(google))
    assert google.asked == 0


async def test_a_halt_is_heard_between_two_providers() -> None:
    calls = iter([None, InterruptedError()])

    def checkpoint() -> None:
        if (error := next(calls)) is not None:
            raise error

    google = Shop("google", "said")
    with pytest.raises(InterruptedError):
        await delivered(paid(Shop("elevenlabs", PermanentError("no"))), paid(google), checkpoint=checkpoint)
    assert google.asked == 0


async def test_a_provider_that_keeps_failing_is_left_alone() -> None:
    circuits = Circuits(HandClock(), failures=3, open_s=30)
    shop = Shop("elevenlabs", *(RetryableError("down") for _ in range(9)))
    for _ in range(5):
        choices: list[Choice[str]] = [paid(shop), local()]
        done = await deliver(choices, buy=buy, circuits=circuits, checkpoint=lambda: None)
    assert shop.asked == 3
    assert done.steps[0].outcome == "passed_over"
    assert "left alone" in done.steps[0].reason


@pytest.mark.parametrize(
    ("errors", "meaning"),
    [
        ((BudgetError("a"), BudgetError("b")), BudgetError),
        ((BudgetError("a"), PermanentError("b")), PermanentError),
        ((PermanentError("a"), RetryableError("b")), RetryableError),
        ((UnknownOutcomeError("a"), PermanentError("b")), RetryableError),
        ((NotNowError("a", after_s=9), PermanentError("b")), NotNowError),
        ((NotNowError("a", after_s=9), RetryableError("b")), RetryableError),
    ],
)
async def test_when_nobody_delivers_the_error_names_them_all(
    errors: tuple[Exception, Exception], meaning: type[Exception]
) -> None:
    with pytest.raises(meaning) as caught:
        await delivered(paid(Shop("elevenlabs", errors[0])), paid(Shop("google", errors[1])))
    assert type(caught.value) is meaning
    assert str(caught.value) == "no provider delivered: elevenlabs: a; google: b"


async def test_the_only_provider_fails_with_its_own_words() -> None:
    error = PermanentError("only a topic was given", hint="add notes")
    with pytest.raises(PermanentError) as caught:
        await delivered(local(error=error))
    assert caught.value is error
