"""kill -9 in the middle of money: a stage dies at each point of a purchase, and a fresh process goes on."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial

import msgspec
import pytest

from tests.fakes.faults import Fault
from tests.fakes.running import Fakes
from tests.faults.armed import order
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
#: Once it is ready; what its predecessor had taken is leased for longer than this test has patience.
GOES_ON_WITHIN_S = 5.0
BUDGET = Decimal("3.00")


class Story(msgspec.Struct, frozen=True):
    """What was seen of a stage that died once and was done in the end."""

    #: State of each call in the record, and whether it is shown as a second purchase.
    calls: list[tuple[str, bool]]
    #: How often the provider has billed.
    bills: int
    #: Whether the second process logged that the first call of all is bought again.
    says_so: bool
    #: What it found as bought before.
    found: int
    goes_on_soon: bool
    broken: list[str]


async def _dies_at(place: Workplace, point: str) -> list[str]:
    """Let a process begin, and die there; returns what was broken meanwhile."""
    marker = order(place.folder, place.stage.name, point)
    process = await place.start("tests.faults.armed", str(place.folder), "actors")

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
        fresh = await place.start()
        broken += await place.until(place.is_done)
        await place.finish()
        calls = await place.calls()
        return Story(
            calls=[(call.state, call.second_purchase) for call in calls],
            bills=len([line for line in place.lines() if line.billed]),
            says_so=[event["before"] for event in fresh.events("purchase.second")] == [str(calls[0].id)],
            found=len(fresh.events("purchase.found")),
            goes_on_soon=await place.attempt_began_s(2) - fresh.ready_s() < GOES_ON_WITHIN_S,
            broken=broken + await place.broken(),
        )


def _expected(provider: str, point: str) -> Story:
    orders, left = ORDERS[STAGE_OF[provider]], LEFT[point]
    is_second = left == "unknown" and provider != "pexels"  # what is free is just asked for again
    calls = [("settled", is_second)] + [("settled", False)] * (orders - 1)
    return Story(
        calls=calls if left is None else [(left, False), *calls],
        bills=orders + (point in BILLED),
        says_so=is_second,
        found=orders if point == "before_commit" else 0,
        goes_on_soon=True,
        broken=[],
    )


async def _stories(fakes: Fakes, places: Places, point: str, providers: tuple[str, ...]) -> dict[str, Story]:
    """The same death of a stage of each provider, side by side."""
    fakes.forget()
    if POINTS[point].moment == "during":
        fakes.order(*(msgspec.convert({"provider": provider, "kind": "hang"}, Fault) for provider in providers))
    async with asyncio.TaskGroup() as stories:
        told = {provider: stories.create_task(_story(places, provider, point)) for provider in providers}
    return {provider: story.result() for provider, story in told.items()}


def test_a_voice_that_was_sent_for_by_a_process_that_died_is_bought_a_second_time_and_that_is_shown(
    fakes: Fakes, places: Places
) -> None:
    told = asyncio.run(_stories(fakes, places, "after_sent", ("elevenlabs",)))
    assert told["elevenlabs"] == _expected("elevenlabs", "after_sent")


@pytest.mark.slow
@pytest.mark.parametrize("point", LEFT)
def test_a_stage_that_dies_in_the_middle_of_a_purchase_loses_no_bill_and_buys_nothing_twice_unsaid(
    fakes: Fakes, places: Places, point: str
) -> None:
    told = asyncio.run(_stories(fakes, places, point, PROVIDERS))
    assert told == {provider: _expected(provider, point) for provider in PROVIDERS}


async def _has_ended(place: Workplace) -> bool:
    return bool(place.letters()["dead"]) or await place.is_done()


@pytest.mark.slow
def test_a_second_purchase_that_does_not_fit_is_not_made_and_the_video_says_why(fakes: Fakes, places: Places) -> None:
    async def story() -> None:
        # one scene fits, a second time neither the voice nor its cheaper model does
        async with places("elevenlabs", Decimal("0.012")) as place:
            broken = await _dies_at(place, "after_call")
            fresh = await place.start()
            broken += await place.until(partial(_has_ended, place))
            assert await fresh.end() == 0
            assert broken + await place.broken() == []
            assert [call.state for call in await place.calls()] == ["unknown"]
            assert len(place.lines()) == 1
            reason = await place.record.fetchval("SELECT reason FROM video_queue")
            assert "cost_cap" in reason
            assert [letter["error"] for letter in place.letters()["dead"]] == [reason]

    fakes.forget()
    asyncio.run(story())
