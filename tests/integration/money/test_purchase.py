"""Buying, with a provider in this process that does what it is told, and counts what it would have billed."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from actors.providers.ports import Resend
from schema.errors import (
    BilledError,
    BudgetError,
    PermanentError,
    PipelineError,
    RateLimitedError,
    RetryableError,
    UnknownOutcomeError,
    UnknownPriceError,
)
from schema.events.command import Command
from schema.money.statement import Statement, Total
from schema.record.gate import GateRecord
from schema.record.postgres import Postgres
from schema.settings.limits import Limits
from streams.interrupts import Halted, Superseded
from tests.integration.money.conftest import run_stage, value
from tests.integration.money.shop import SAID, VOICE_USD, Dearer, Order, Shop, Strange, Untold, Voice


@pytest.fixture
async def shop(postgres: Postgres, tmp_path: Path) -> Shop:
    await run_stage(postgres, stage="audio")
    return Shop(postgres, tmp_path)


async def _states(statement: Statement) -> list[tuple[str, bool]]:
    return [(call.state, call.second_purchase) for call in await statement.calls("v")]


async def test_what_is_bought_is_billed_kept_and_found_again_with_its_files(
    shop: Shop, postgres: Postgres, statement: Statement
) -> None:
    voice = Voice()
    assert await shop.buy(voice) == (SAID, Order().text)
    assert await statement.of_video("v") == Total(Decimal(0), VOICE_USD)
    assert voice.calls[0].amount_usd == VOICE_USD
    assert shop.steps() == ["sent", "paid"]
    await run_stage(postgres, "w", "audio")
    for video in "vw":
        assert await shop.buy(voice, video=video) == (SAID, Order().text)
    assert len(voice.calls) == 1
    assert await shop.buy(voice, take=1) == (SAID, Order().text)
    assert len(voice.billed) == 2
    assert await _states(statement) == [("settled", False)] * 2


@pytest.mark.parametrize(
    "failure",
    [
        RateLimitedError("429", retry_after_s=3),
        RetryableError("503"),
        PermanentError("401"),
    ],
)
async def test_what_was_not_billed_is_released_and_bought_as_if_for_the_first_time(
    shop: Shop, statement: Statement, failure: PipelineError
) -> None:
    voice = Voice(failure)
    with pytest.raises(type(failure)) as raised:
        await shop.buy(voice)
    assert raised.value is failure
    assert await statement.of_video("v") == Total(Decimal(0), Decimal(0))
    await shop.buy(voice)
    assert await _states(statement) == [("released", False), ("settled", False)]
    assert shop.steps() == ["sent", "released", "sent", "paid"]


async def test_a_blind_provider_is_bought_from_a_second_time_and_that_is_shown(
    shop: Shop, postgres: Postgres, statement: Statement
) -> None:
    voice = Voice(UnknownOutcomeError("timeout"))
    with pytest.raises(UnknownOutcomeError):
        await shop.buy(voice)
    assert await _states(statement) == [("unknown", False)]
    await run_stage(postgres, stage="audio", attempt=2)
    with capture_logs() as logs:
        await shop.buy(voice, attempt=2)
    assert await _states(statement) == [("unknown", False), ("settled", True)]
    assert await statement.of_video("v") == Total(Decimal(0), 2 * VOICE_USD)
    (shown,) = [line for line in logs if line["event"] == "purchase.second"]
    assert (shown["before"], shown["before_state"]) == (str(voice.billed[0]), "unknown")


@pytest.mark.parametrize("resend", ["keyed", "queryable"])
async def test_a_provider_that_knows_the_key_is_sent_the_same_again_and_bills_it_once(
    shop: Shop, postgres: Postgres, statement: Statement, resend: Resend
) -> None:
    voice = Voice(UnknownOutcomeError("timeout"), RateLimitedError("429"), resend=resend)
    with pytest.raises(UnknownOutcomeError):
        await shop.buy(voice)
    await run_stage(postgres, stage="audio", attempt=2)
    with pytest.raises(RateLimitedError):
        await shop.buy(voice, attempt=2)
    assert await _states(statement) == [("unknown", False)]  # of the first request nothing is known yet
    await shop.buy(voice, attempt=2)
    assert len({reservation.id for reservation in voice.calls}) == 1
    assert set(voice.billed) == {voice.calls[0].id}
    assert await _states(statement) == [("settled", False)]
    assert await statement.of_video("v") == Total(Decimal(0), VOICE_USD)
    assert await statement.contradictions() == []


async def test_what_is_free_is_asked_for_again_and_is_no_second_purchase(shop: Shop, statement: Statement) -> None:
    voice = Voice(UnknownOutcomeError("timeout"), resend="free")
    with pytest.raises(UnknownOutcomeError):
        await shop.buy(voice)
    await shop.buy(voice)
    assert await _states(statement) == [("unknown", False), ("settled", False)]


async def test_an_adapter_that_fails_in_a_way_of_its_own_may_have_been_billed(shop: Shop, statement: Statement) -> None:
    with pytest.raises(ZeroDivisionError):
        await shop.buy(Voice(ZeroDivisionError("a mistake")))
    assert await _states(statement) == [("unknown", False)]


async def test_an_answer_that_is_billed_and_of_no_use_is_settled_and_kept_by_nobody(
    shop: Shop, statement: Statement
) -> None:
    voice = Voice(BilledError("refused", used={"characters": 10}, request_id="r"))
    with pytest.raises(BilledError):
        await shop.buy(voice)
    assert await statement.of_video("v") == Total(Decimal(0), Decimal("0.003"))
    await shop.buy(voice)
    assert await _states(statement) == [("settled", False), ("settled", True)]


async def test_a_cancellation_waits_until_the_paid_call_is_settled(shop: Shop, statement: Statement) -> None:
    voice = Voice()
    voice.may_answer.clear()
    buying = asyncio.create_task(shop.buy(voice))
    await voice.was_called.wait()
    for _ in range(3):
        buying.cancel()
        await asyncio.sleep(0)
    assert not buying.done()
    voice.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await buying
    assert await _states(statement) == [("settled", False)]
    await shop.buy(voice)
    assert len(voice.calls) == 1


async def test_a_limit_on_the_stage_waits_for_the_paid_call_too(shop: Shop, statement: Statement) -> None:
    voice = Voice()
    voice.may_answer.clear()

    limits: list[asyncio.Timeout] = []

    async def buy() -> None:
        async with asyncio.timeout(None) as limit:
            limits.append(limit)
            await shop.buy(voice)

    buying = asyncio.create_task(buy())
    await voice.was_called.wait()
    limits[0].reschedule(asyncio.get_running_loop().time())
    for _ in range(3):
        await asyncio.sleep(0)
    assert limits[0].expired()
    assert not buying.done()
    voice.may_answer.set()
    with pytest.raises(TimeoutError):
        await buying
    assert await _states(statement) == [("settled", False)]


async def test_a_call_that_is_torn_down_itself_is_of_unknown_outcome(shop: Shop, statement: Statement) -> None:
    voice = Voice()
    voice.may_answer.clear()
    before = asyncio.all_tasks()
    buying = asyncio.create_task(shop.buy(voice))
    await voice.was_called.wait()
    for task in asyncio.all_tasks() - before:  # as the end of an event loop does
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await buying
    assert await _states(statement) == [("unknown", False)]


async def test_a_halt_after_the_reservation_sends_nothing(
    shop: Shop, postgres: Postgres, statement: Statement, gate: GateRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = shop.purchases.ledger.reserve

    async def then_halt(*arguments: object) -> object:
        answer = await reserve(*arguments)  # type: ignore[arg-type] # as they came
        await gate.apply(Command(verb="halt", id="h"), entry_id=None)
        return answer

    voice = Voice()
    monkeypatch.setattr(shop.purchases.ledger, "reserve", then_halt)
    with pytest.raises(Halted):
        await shop.buy(voice)
    monkeypatch.undo()
    assert voice.calls == []
    assert await _states(statement) == [("released", False)]
    assert await value(postgres, "SELECT state FROM money.purchases") == "free"
    with pytest.raises(Halted):
        await shop.buy(voice)
    await gate.apply(Command(verb="resume", id="r"), entry_id=None)
    await shop.buy(voice)


async def test_an_attempt_that_is_over_buys_nothing(shop: Shop, postgres: Postgres) -> None:
    await run_stage(postgres, stage="audio", attempt=2)
    voice = Voice()
    with pytest.raises(Superseded):
        await shop.buy(voice, attempt=1)
    assert voice.calls == []


async def test_what_does_not_fit_the_video_is_a_budget_error_that_says_what_is_left(
    postgres: Postgres, tmp_path: Path
) -> None:
    await run_stage(postgres, stage="audio")
    shop, voice = Shop(postgres, tmp_path, Limits(video_budget_usd=Decimal("0.02"))), Voice()
    await shop.buy(voice)
    with pytest.raises(BudgetError) as refusal:
        await shop.buy(voice, take=1)
    assert str(refusal.value) == (
        "cost_cap: elevenlabs eleven_v3 may cost $0.012, and $0.008 is left of the video's budget"
    )
    assert "YTEMPIRE_VIDEO_BUDGET_USD" in refusal.value.hint
    assert await value(postgres, "SELECT state FROM money.purchases WHERE take = 1") == "free"


async def test_what_does_not_fit_the_day_is_a_budget_error(postgres: Postgres, tmp_path: Path) -> None:
    await run_stage(postgres, stage="audio")
    shop = Shop(postgres, tmp_path, Limits(day_budget_usd=Decimal("0.01")))
    with pytest.raises(BudgetError, match="is left of today's budget"):
        await shop.buy(Voice())


async def test_a_quota_that_is_used_up_asks_for_a_pause(postgres: Postgres, tmp_path: Path) -> None:
    class _Photos(Voice):
        service, model = "pexels", "search"

        def worst_case(self, order: Order) -> dict[str, int]:  # noqa: ARG002 - one is one
            """One request."""
            return {"requests": 1}

    await run_stage(postgres, stage="audio")
    shop, photos = Shop(postgres, tmp_path, Limits(pexels_requests_per_hour=1)), _Photos(PermanentError("none"))
    with pytest.raises(PermanentError, match="none"):
        await shop.buy(photos)
    with pytest.raises(RateLimitedError, match="the quota is used up: pexels requests an hour") as refusal:
        await shop.buy(photos)
    assert refusal.value.retry_after_s == 60


async def test_what_has_no_price_is_not_bought(shop: Shop, postgres: Postgres) -> None:
    voice = Voice()
    voice.model = "eleven_v9"
    with pytest.raises(UnknownPriceError):
        await shop.buy(voice)
    assert voice.calls == []
    assert await value(postgres, "SELECT state FROM money.purchases") == "free"


async def test_a_bill_above_the_price_halts_the_factory_and_refuses_the_price(
    shop: Shop, gate: GateRecord, statement: Statement
) -> None:
    answer, _ = await shop.buy(Dearer())
    assert answer.result == SAID.result  # it is paid for, and of use
    assert await statement.of_video("v") == Total(Decimal(0), 2 * VOICE_USD)
    assert [hold.cause for hold in (await gate.read()).holds] == ["cost_overrun"]
    await gate.apply(Command(verb="resume", id="r"), entry_id=None)
    with pytest.raises(BudgetError, match="has billed more than its price says"):
        await shop.buy(Voice(), take=1)


async def test_a_bill_that_nobody_understands_counts_with_its_bound(shop: Shop, statement: Statement) -> None:
    with capture_logs() as logs:
        await shop.buy(Strange())
    assert await statement.of_video("v") == Total(Decimal(0), VOICE_USD)
    assert [line["counted_usd"] for line in logs if line["event"] == "purchase.bill_not_understood"] == ["0.012000"]


async def test_without_a_journal_nothing_is_sent(shop: Shop, statement: Statement, tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "journal").write_text, "a file where the folder should be")
    voice = Voice()
    with pytest.raises(RetryableError, match="the journal cannot be written"):
        await shop.buy(voice)
    assert voice.calls == []
    assert await _states(statement) == [("released", False)]


async def test_two_who_want_the_same_buy_it_once(shop: Shop, postgres: Postgres) -> None:
    await run_stage(postgres, "w", "audio")
    voice = Voice()
    voice.may_answer.clear()
    buying = [asyncio.create_task(shop.buy(voice, video=video)) for video in "vvw"]
    await voice.was_called.wait()
    voice.may_answer.set()
    assert await asyncio.gather(*buying) == [(SAID, Order().text)] * 3
    assert len(voice.calls) == 1


async def test_who_waits_for_another_buyer_is_stopped_by_a_halt(shop: Shop) -> None:
    voice = Voice()
    voice.may_answer.clear()
    buying = asyncio.create_task(shop.buy(voice))
    await voice.was_called.wait()
    looks = 0

    def checkpoint() -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise Halted

    with pytest.raises(Halted):
        await shop.buyer(checkpoint=checkpoint)(voice, Order(), shop.out())
    voice.may_answer.set()
    await buying


async def test_a_file_that_is_lost_is_bought_again_and_shown(shop: Shop, statement: Statement, tmp_path: Path) -> None:
    voice = Voice()
    await shop.buy(voice)
    (kept,) = await asyncio.to_thread(lambda: list((tmp_path / "artifacts" / "bought").rglob("*.wav")))
    await asyncio.to_thread(kept.unlink)
    assert await shop.buy(voice) == (SAID, Order().text)
    assert await _states(statement) == [("settled", False), ("settled", True)]


async def test_an_adapter_that_does_not_say_what_it_returns_is_refused_before_it_costs_anything(shop: Shop) -> None:
    voice = Untold()
    with pytest.raises(TypeError, match="expected Answer of a struct"):
        await shop.buy(voice)
    assert voice.calls == []
