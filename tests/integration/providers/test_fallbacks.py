"""Retries, circuits and the chain over the fakes: each provider failing in turn, and what their ledger says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.providers.breaker import Circuits
from actors.providers.chain import Buy, Choice, Delivered, Local, Paid, deliver
from actors.providers.ports import Answer
from actors.providers.retries import tried
from schema.clock import SystemClock
from schema.errors import PermanentError, PipelineError
from schema.settings.providers import Providers
from tests.fakes.faults import Fault, Kind, Provider
from tests.fakes.orders import ORDERS, bought, reservation
from tests.fakes.running import Fakes, running


def never() -> None:
    """A checkpoint that lets everything pass."""


async def at_once(_seconds: float) -> None:
    """A pause that takes no time."""


async def buy(adapter: Any, order: Any, out: Path) -> Answer[Any]:  # noqa: ANN401 - any adapter and its order
    """What a purchase does, less the ledger."""

    async def send() -> Answer[Any]:
        answer: Answer[Any] = await adapter.call(order, reservation(adapter, adapter.worst_case(order)), out)
        return answer

    return await tried(send, tries=3, deadline_s=60, retry_after_max_s=20, checkpoint=never, sleep=at_once)


def choices(settings: Providers, *names: str) -> list[Choice[str]]:
    def paid(name: str, out: Path) -> Choice[str]:
        async def once(purchase: Buy) -> str:
            one = bought(name, settings)
            await purchase(one.adapter, one.order, out)
            return name

        return Paid(name, once)

    async def make() -> str:
        return "local"

    return [*(paid(name, Path(settings.picture_dir)) for name in names), Local("local", make)]


async def speak(settings: Providers) -> Delivered[str]:
    circuits = Circuits(SystemClock(), failures=5, open_s=30)
    return await deliver(choices(settings, "elevenlabs", "google"), buy=buy, circuits=circuits, checkpoint=never)


@pytest.mark.parametrize("kind", ["rate_limited", "server_error", "wrong_key", "bad_model", "reset_after", "no_sound"])
async def test_each_provider_failing_in_turn_hands_over_to_the_next(fakes: Fakes, tmp_path: Path, kind: Kind) -> None:
    settings = fakes.settings(picture_dir=str(tmp_path))
    requests = 3 if kind in {"rate_limited", "server_error"} else 1
    turns: tuple[tuple[tuple[Provider, ...], str], ...] = (
        ((), "elevenlabs"),
        (("elevenlabs",), "google"),
        (("elevenlabs", "google"), "local"),
    )
    for broken, user in turns:
        fakes.forget()
        fakes.order(*(Fault(name, kind, count=0) for name in broken))
        done = await speak(settings)
        assert done.result == user
        assert [(step.provider, step.outcome) for step in done.steps] == [
            *((name, "failed") for name in broken),
            (user, "used"),
        ]
        assert all(step.reason for step in done.steps[:-1])
        for name in broken:
            assert len(fakes.lines(name)) == requests


async def test_a_rate_limit_that_passes_is_waited_out(fakes: Fakes, tmp_path: Path) -> None:
    fakes.order(Fault("elevenlabs", "rate_limited", seconds=2, count=2))
    done = await speak(fakes.settings(picture_dir=str(tmp_path)))
    assert (done.result, len(done.steps)) == ("elevenlabs", 1)
    assert [line.status for line in fakes.lines()] == [429, 429, 200]


async def test_a_refusal_is_never_sent_again(fakes: Fakes, tmp_path: Path) -> None:
    fakes.order(Fault("openai", "refused", count=0))
    one = bought("openai", fakes.settings())
    with pytest.raises(PermanentError):
        await buy(one.adapter, one.order, tmp_path)
    assert len(fakes.lines()) == 1


async def test_under_a_seed_every_call_ends_in_an_answer_or_in_one_of_our_errors(tmp_path: Path) -> None:
    outcomes: list[list[str]] = []
    for run in ("one", "two"):
        folder = tmp_path / run
        folder.mkdir()
        seen: list[str] = []
        with running(folder, seed=7) as fakes:
            settings = fakes.settings()
            for name in [name for name in ORDERS for _ in range(12)]:
                one = bought(name, settings)
                try:
                    answer = await one.call(folder)
                except PipelineError as error:
                    seen.append(f"{name} {type(error).__name__}")
                else:
                    seen.append(f"{name} answered")
                    assert fakes.lines()[-1].billed == answer.used
            assert len(fakes.lines()) == len(seen)
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]
    assert len(set(outcomes[0])) > len(ORDERS) + 3
