from __future__ import annotations

import asyncpg
import pytest

from schema.documents import Brief
from schema.record.admission import Queue
from schema.record.postgres import Postgres
from schema.record.videos import Videos
from tests.integration.record.conftest import accept, admitted, execute, value


async def test_the_same_key_twice_is_one_video(videos: Videos) -> None:
    first = await accept(videos, "same")
    assert await accept(videos, "same") == first
    assert await videos.counts() == {"waiting": 1}


async def test_place_counts_those_ahead_by_priority_then_age(videos: Videos) -> None:
    await accept(videos, "a", 5)
    await accept(videos, "b", 9)
    third = await videos.accept(key="c", priority=5, brief=Brief(topic="t"), traceparent="")
    assert third.place == 3


async def test_promotion_fills_the_queue_to_its_capacity_and_no_further(videos: Videos, queue: Queue) -> None:
    for number in range(12):
        await accept(videos, f"k{number}")
    await queue.promote(capacity=10, age_per_priority_s=600)
    assert await videos.counts() == {"queued": 10, "waiting": 2}
    assert await queue.promote(capacity=10, age_per_priority_s=600) == 0


async def test_admission_goes_by_priority_and_never_beyond_what_may_be_in_hand(videos: Videos, queue: Queue) -> None:
    wanted = {priority: await accept(videos, f"k{priority}", priority) for priority in (1, 9, 5, 7, 3)}
    await queue.promote(capacity=100, age_per_priority_s=600)
    order = [video.video for video in await queue.admit(most=3, age_per_priority_s=600)]
    assert order == [wanted[9], wanted[7], wanted[5]]
    assert await queue.admit(most=3, age_per_priority_s=600) == ()
    assert await queue.in_hand() == 3


@pytest.mark.parametrize("room", [1, 4, 11])
async def test_of_many_that_wait_those_are_promoted_that_priority_and_age_put_first(
    postgres: Postgres, queue: Queue, room: int
) -> None:
    await execute(
        postgres,
        """INSERT INTO video_queue (id, key, priority, topic, brief, created_at)
           SELECT 'w' || n, 'w' || n, n * 7 % 10, 't', '{}', now() - make_interval(secs => n * 389 % 4000)
             FROM generate_series(1, 60) AS n""",
    )
    first = await value(
        postgres,
        """SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM video_queue
            ORDER BY priority + extract(epoch FROM now() - created_at) / 600 DESC, created_at, id LIMIT $1) AS best""",
        room,
    )
    assert await queue.promote(capacity=room, age_per_priority_s=600) == room
    promoted = "SELECT array_agg(id ORDER BY id) FROM video_queue WHERE status = 'queued'"
    assert await value(postgres, promoted) == first


async def test_waiting_long_outweighs_priority(videos: Videos, queue: Queue, postgres: Postgres) -> None:
    old, new = await accept(videos, "old", 1), await accept(videos, "new", 9)
    await execute(postgres, "UPDATE video_queue SET created_at = now() - interval '2 hours' WHERE id = $1", old)
    await queue.promote(capacity=100, age_per_priority_s=600)
    admitted_ones = await queue.admit(most=1, age_per_priority_s=600)
    assert [video.video for video in admitted_ones] == [old] != [new]


async def test_the_runbooks_reset_typed_by_hand_admits_nothing_twice(
    videos: Videos, queue: Queue, postgres: Postgres
) -> None:
    video = await admitted(videos)
    await execute(
        postgres,
        "UPDATE video_queue SET status = 'queued', processing_started_at = NULL WHERE status = 'processing'",
    )
    assert await queue.admit(most=1, age_per_priority_s=600) == ()
    row = await videos.find(video)
    assert row is not None
    assert row.status == "processing"
    assert await value(postgres, "SELECT processing_started_at IS NOT NULL FROM video_queue WHERE id = $1", video)


async def test_an_admission_counts_as_unpublished_until_it_is_marked(videos: Videos, queue: Queue) -> None:
    video = await admitted(videos)
    assert [one.video for one in await queue.unpublished()] == [video]
    await queue.mark_published([video])
    assert await queue.unpublished() == ()


async def test_the_runbooks_corruption_queries_return_nothing_and_the_checks_keep_it_so(
    videos: Videos, postgres: Postgres
) -> None:
    video = await accept(videos, "k")
    with pytest.raises(asyncpg.CheckViolationError):
        await execute(postgres, "UPDATE video_queue SET status = 'completed' WHERE id = $1", video)
    with pytest.raises(asyncpg.CheckViolationError):
        await execute(
            postgres,
            """SET LOCAL ROLE NONE;
            INSERT INTO pipeline_costs (video_id, stage, attempt, service, amount) VALUES ('v', 's', 1, 'x', 11)""",
        )
