"""Sixteen processes want the last dollar of a video, and of a day."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

import asyncpg
import pytest

from schema.money.statement import Statement
from schema.record.postgres import Postgres
from tests.integration.money.conftest import DAY_USD, VIDEO_USD, run_stage, set_clock
from tests.integration.money.racing import racers

RACERS = 16
LAST_DOLLAR = Decimal(1)

# The true sums, from the rows themselves: at every instant, not only in the end.
WATCH = f"""
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sum(coalesce(billed, amount)) FROM money.reservations
         WHERE video_id = NEW.video_id AND state <> 'released') > {VIDEO_USD}
       AND NEW.video_id <> 'before' THEN
        RAISE EXCEPTION 'video % is over', NEW.video_id;
    END IF;
    IF (SELECT sum(coalesce(billed, amount)) FROM money.reservations
         WHERE day = NEW.day AND state <> 'released') > {DAY_USD} THEN
        RAISE EXCEPTION 'day % is over', NEW.day;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER INSERT OR UPDATE ON money.reservations FOR EACH ROW EXECUTE FUNCTION watch();"""  # noqa: S608 - constants

# What was spent before the race began.
SPENT_BEFORE = """
WITH row AS (
    INSERT INTO money.reservations (id, video_id, stage, attempt, service, model, price, units, amount, billed, day,
                                    policy, state, reserved_at)
    VALUES ($3, $1, 'before', 1, 'openai', 'model', '', '{}', $2, $2,
            (money.clock() AT TIME ZONE 'UTC')::date, 'blind', 'settled', money.clock())),
costs AS (
    INSERT INTO pipeline_costs (video_id, stage, attempt, service, amount, "timestamp", reservation_id)
    SELECT $1, 'before', 1, 'openai', least(10, $2 - 10 * part), money.clock(), $3
      FROM generate_series(0, greatest(ceil($2 / 10)::integer - 1, 0)) AS part),
day AS (
    INSERT INTO money.days AS d (day, spent) VALUES ((money.clock() AT TIME ZONE 'UTC')::date, $2)
        ON CONFLICT (day) DO UPDATE SET spent = d.spent + $2)
INSERT INTO money.videos AS v (video_id, spent) VALUES ($1, $2)
    ON CONFLICT (video_id) DO UPDATE SET spent = v.spent + $2"""


@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=pytest.mark.slow)])
async def test_the_last_dollar_of_a_video_and_of_a_day_is_never_spent_twice_and_never_left_unused(
    database_url: str, postgres: Postgres, owner: asyncpg.Connection[asyncpg.Record], rounds: int
) -> None:
    await owner.execute(WATCH)
    dice = random.Random(7)  # noqa: S311 - the same race each time
    async with racers(database_url, RACERS) as field:
        for number in range(2 * rounds):  # one of a video, one of a day
            for_a_day = number % 2 == 1
            await set_clock(owner, f"{date(2026, 1, 1) + timedelta(days=number)} 12:00 UTC")
            videos = [f"v{number}-{at if for_a_day else 0}" for at in range(RACERS)]
            for video in set(videos):
                await run_stage(postgres, video)
            spent = (DAY_USD if for_a_day else VIDEO_USD) - LAST_DOLLAR
            await owner.execute(SPENT_BEFORE, "before" if for_a_day else videos[0], spent, uuid4())
            wanted = [Decimal(dice.randrange(5, 60)) / 100 for _ in field]
            for racer, video, usd in zip(field, videos, wanted, strict=True):
                racer.tell(f"one {video} {usd}")
            answers = [await racer.said() for racer in field]
            granted = [usd for usd, answer in zip(wanted, answers, strict=True) if answer == "granted"]
            refused = [usd for usd, answer in zip(wanted, answers, strict=True) if answer != "granted"]
            left = LAST_DOLLAR - sum(granted, Decimal(0))
            assert set(answers) == {"granted", "over_day" if for_a_day else "over_video"}
            assert left >= 0
            assert min(refused) > left, "a call that fits was refused"
    assert await Statement(postgres).contradictions() == []
