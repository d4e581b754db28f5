"""kill -9 in the middle of money: a stage dies at each point of a purchase, and a fresh process goes on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from schema.money.statement import Call
from tests.fakes.faults import Fault
from tests.fakes.ledger import Line
from tests.fakes.running import Fakes
from tests.faults.conftest import Places
from tests.faults.points import ADAPTERS, POINTS
from tests.faults.workplace import STAGE_OF, Workplace

PROVIDERS = tuple(ADAPTERS)
#: What the record says in the end of the call that was under way; nothing where there was none.
LEFT = {
    "before_reserve": None,
    "after_reserve": "released",
    "after_sent": "unknown",
    "in_call": "unknown",
    "after_call": "unknown",
    "before_settle": "unknown",
    "before_commit": None,
}
#: The provider was asked, and has billed what nobody got to hear.
BILLED = ("in_call", "after_call", "before_settle")
#: What one video's stage orders.
ORDERS = {"script": 1, "media": 2, "audio": 2}
GOES_ON_WITHIN_S = 10.0
BUDGET = Decimal("3.00")


@pytest.fixture(scope="module", params=LEFT)
def deaths(request: pytest.FixtureRequest, fakes: Fakes, places: Places) -> tuple[str, dict[str, Story]]:
    """A point, and what became of a stage of each provider that died there."""
    point = str(request.param)
    return point, asyncio.run(_stories(fakes, places, point, PROVIDERS))


class Story(msgspec.Struct, frozen=True):
    """What was seen of a stage that died once and was done in the end."""

    calls: list[Call]
    lines: list[Line]
    #: Of the second process.
    second_purchases: list[dict[str, object]]
    found: int
    went_on_after_s: float
    exit_code: int
    broken: list[str]


async def _dies_at(place: Workplace, point: str) -> list[str]:
    """Let a process begin, and die there; returns what was broken meanwhile."""
    marker = place.folder / "reached"
    process = await place.start("tests.faults.armed", point, str(marker))

    def reached_in_call() -> bool:
        assert not process.has_ended, process.said()
        return marker.exists() and any(line.outcome == "hang" for line in place.lines())

    broken = []
    if POINTS[point].moment == "during":
        broken += await place.until(reached_in_call)
        process.kill()
    broken += await place.until(lambda: process.has_ended)
    assert process.was_killed, process.said()
    assert marker.exists()
    return broken


async def _story(places: Places, provider: str, point: str) -> Story:
    async with places(provider, BUDGET) as place:
        broken = await _dies_at(place, point)
        died_at = datetime.now(UTC)
        fresh = await place.start()
        broken += await place.until(place.is_done)
        exit_code = await fresh.end()
        began_at = await place.record.fetchval("SELECT max(started_at) FROM stage_attempts WHERE attempt = 2")
        await place.finish()
        return Story(
            calls=await place.calls(),
            lines=place.lines(),
            second_purchases=fresh.events("purchase.second"),
            found=len(fresh.events("purchase.found")),
            went_on_after_s=(began_at - died_at).total_seconds(),
            exit_code=exit_code,
            broken=broken + await place.broken(),
        )


async def _stories(fakes: Fakes, places: Places, point: str, providers: tuple[str, ...]) -> dict[str, Story]:
    """The same death of a stage of each provider, side by side."""
    fakes.forget()
    if POINTS[point].moment == "during":
        fakes.order(*(msgspec.convert({"provider": provider, "kind": "hang"}, Fault) for provider in providers))
    async with asyncio.TaskGroup() as stories:
        told = {provider: stories.create_task(_story(places, provider, point)) for provider in providers}
    return {provider: story.result() for provider, story in told.items()}


def _check(story: Story, provider: str, point: str) -> None:
    orders, left = ORDERS[STAGE_OF[provider]], LEFT[point]
    is_free = provider == "pexels"
    is_second = left == "unknown" and not is_free
    expected = [] if left is None else [(left, False)]
    expected += [("settled", is_second)] + [("settled", False)] * (orders - 1)
    assert [(call.state, call.second_purchase) for call in story.calls] == expected
    assert len([line for line in story.lines if line.billed]) == orders + (point in BILLED)
    assert [event["before"] for event in story.second_purchases] == [str(story.calls[0].id)] * is_second
    assert story.found == (orders if point == "before_commit" else 0)
    if not is_free:
        assert all(call.amount_usd > 0 for call in story.calls)
    assert story.broken == []
    assert story.exit_code == 0
    assert story.went_on_after_s < GOES_ON_WITHIN_S


def test_a_voice_that_was_sent_for_by_a_process_that_died_is_bought_a_second_time_and_that_is_shown(
    fakes: Fakes, places: Places
) -> None:
    told = asyncio.run(_stories(fakes, places, "after_sent", ("elevenlabs",)))
    _check(told["elevenlabs"], "elevenlabs", "after_sent")


@pytest.mark.slow
@pytest.mark.xdist_group("factories")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stage_that_dies_in_the_middle_of_a_purchase_loses_no_bill_and_buys_nothing_twice_unsaid(
    deaths: tuple[str, dict[str, Story]], provider: str
) -> None:
    point, told = deaths
    _check(told[provider], provider, point)


@pytest.mark.slow
@pytest.mark.xdist_group("factories")
def test_a_second_purchase_that_does_not_fit_is_not_made_and_the_video_says_why(fakes: Fakes, places: Places) -> None:
    async def story() -> None:
        # one scene fits, a second time neither the voice nor its cheaper model does
        async with places("elevenlabs", Decimal("0.012")) as place:
            broken = await _dies_at(place, "after_call")
            fresh = await place.start()
            broken += await place.until(place.has_failed)
            assert await fresh.end() == 0
            assert [call.state for call in await place.calls()] == ["unknown"]
            assert len(place.lines()) == 1
            reason = await place.record.fetchval("SELECT reason FROM video_queue")
            assert "cost_cap" in reason
            assert [letter["error"] for letter in place.letters()["dead"]] == [reason]
            assert broken + await place.broken() == []

    fakes.forget()
    asyncio.run(story())
