"""Whatever is said to the ledger, in whatever order and however often: a model of a few lines foretells all of it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Literal
from uuid import UUID, uuid4

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.money.calls import Ended, Refused, Reserved
from schema.money.ledger import Ledger, Sent
from schema.money.statement import Statement, Total
from schema.record.postgres import Postgres
from tests.integration.money.conftest import VIDEO_USD, ask, opened, run_stage

Verb = Literal["reserve", "send", "settle", "settle below", "release", "unknown", "new attempt"]
#: What each call costs at most; together more than a video may.
USD = (Decimal("1.25"), Decimal("2.00"))


class Said(msgspec.Struct, frozen=True):
    """Something that is said to the ledger."""

    verb: Verb
    which: int
    times: int


class Known(msgspec.Struct):
    """What the model knows of a reservation."""

    attempt: int
    state: str = "none"
    counted: Decimal = Decimal(0)


class Model:
    """One video with two reservations that may be made."""

    def __init__(self) -> None:
        self.attempt = 1
        self.known = [Known(1) for _ in USD]

    def counted(self) -> Decimal:
        """What the budget sees."""
        return sum((known.counted for known in self.known), Decimal(0))

    def expect(self, said: Said) -> object:
        """What the ledger must answer."""
        known, usd = self.known[said.which], USD[said.which]
        match said.verb:
            case "reserve":
                return self._reserve(known, usd)
            case "send":
                if known.state == "none":
                    return LookupError
                if known.attempt != self.attempt or known.state not in ("reserved", "sent"):
                    return "superseded"
                known.state = "sent"
                return "sent"
            case "settle" | "settle below" if known.state in ("sent", "unknown"):
                known.state, known.counted = "settled", usd if said.verb == "settle" else usd / 2
            case "release" if known.state in ("reserved", "sent"):
                known.state, known.counted = "released", Decimal(0)
            case "release" if known.state == "none":
                return "released"
            case "unknown" if known.state == "sent":
                known.state = "unknown"
        return LookupError if known.state == "none" else known.state

    def _reserve(self, known: Known, usd: Decimal) -> str:
        if known.state != "none":
            return "reserved"
        for other in self.known:
            if other.attempt < self.attempt and other.state == "reserved":
                other.state, other.counted = "released", Decimal(0)
            elif other.attempt < self.attempt and other.state == "sent":
                other.state = "unknown"
        if self.counted() + usd > VIDEO_USD:
            return "over_video"
        known.state, known.counted, known.attempt = "reserved", usd, self.attempt
        return "reserved"


async def _say(ledger: Ledger, said: Said, ids: list[UUID], video: str, attempt: int) -> object:
    reservation, usd = ids[said.which], USD[said.which]
    try:
        match said.verb:
            case "reserve":
                answer: object = await ledger.reserve(ask(usd, video=video, attempt=attempt, reservation=reservation))
            case "send":
                answer = await ledger.sent(reservation, attempt)
            case "settle" | "settle below":
                answer = await ledger.settle(reservation, usd if said.verb == "settle" else usd / 2, used={})
            case "release":
                answer = await ledger.release(reservation, "said")
            case _:
                answer = await ledger.unknown(reservation, "said")
    except Exception as error:
        if "there is no reservation" in str(error):
            return LookupError
        raise
    return _in_words(answer)


def _in_words(answer: object) -> str:
    match answer:
        case Reserved():
            return "reserved"
        case Sent():
            return "sent"
        case Refused(why=why):
            return why
        case Ended(state=state):
            return state
    raise AssertionError(answer)


async def _play(postgres: Postgres, story: list[Said]) -> None:
    video, model, ids = uuid4().hex, Model(), [uuid4() for _ in USD]
    ledger = Ledger(postgres, video_budget_usd=VIDEO_USD, day_budget_usd=Decimal(1_000_000))
    await run_stage(postgres, video)
    for said in story:
        if said.verb == "new attempt":
            model.attempt += 1
            await run_stage(postgres, video, attempt=model.attempt)
            continue
        expected = model.expect(said)
        for _ in range(said.times):
            assert await _say(ledger, said, ids, video, model.attempt) == expected, said
        total = await Statement(postgres).of_video(video)
        assert total.counted_usd == model.counted() <= VIDEO_USD
    spent = sum((known.counted for known in model.known if known.state in ("settled", "unknown")), Decimal(0))
    assert await Statement(postgres).of_video(video) == Total(model.counted() - spent, spent)
    assert await Statement(postgres).contradictions() == []


def test_every_story_ends_as_the_model_says(database_url: str) -> None:
    verbs: tuple[Verb, ...] = ("reserve", "send", "settle", "settle below", "release", "unknown", "new attempt")
    said = st.builds(Said, st.sampled_from(verbs), st.integers(0, len(USD) - 1), st.integers(1, 2))
    with asyncio.Runner() as runner:
        pool = opened(database_url)
        postgres = runner.run(pool.__aenter__())

        @settings(max_examples=70, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(st.lists(said, min_size=20, max_size=40))
        def check(story: list[Said]) -> None:
            runner.run(_play(postgres, story))

        check()
        runner.run(pool.__aexit__(None, None, None))
