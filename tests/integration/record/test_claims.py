from __future__ import annotations

import asyncio

from schema import flow
from schema.documents import Scene, Script
from schema.record.admission import Queue
from schema.record.claims import AlreadyDone, Claim, CrashLoop, Held, NothingToDo
from schema.record.postgres import Postgres
from schema.record.videos import Videos
from tests.integration.record.conftest import LEASE_S, admitted, claims, execute, value

SCRIPT, MEDIA, AUDIO, RENDER, QUALITY = flow.STAGES
OUTPUT = Script(title="t", scenes=(Scene(narration="words"),))


async def _claim(postgres: Postgres, video: str, stage: flow.Stage, entry: str = "stream:x/1-0") -> Claim:
    answer = await claims(postgres).claim(video, stage, entry=entry, delayed=False)
    assert isinstance(answer, Claim)
    return answer


async def _do(postgres: Postgres, video: str, *stages: flow.Stage) -> None:
    for stage in stages:
        fact = await claims(postgres).commit(await _claim(postgres, video, stage), OUTPUT)
        assert fact is not None
        assert fact.type == stage.fact


async def _expire(postgres: Postgres, video: str) -> None:
    """As if the lease had run out and the server had long been up."""
    await execute(postgres, "UPDATE video_stages SET lease_until = now() - interval '1 s' WHERE video_id = $1", video)
    # the first test of a session may be here before the server has been up for one lease
    await value(
        postgres,
        "SELECT pg_sleep_until(pg_postmaster_start_time() + make_interval(secs => $1))::text",
        LEASE_S,
    )


async def test_a_stage_is_claimed_worked_and_committed_with_its_fact(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    claim = await _claim(postgres, video, SCRIPT)
    assert (claim.attempt, claim.brief.topic) == (1, "topic k")
    fact = await claims(postgres).commit(claim, OUTPUT)
    assert fact is not None
    assert (fact.type, fact.id, fact.video) == ("script.written", f"{video}.script.1", video)


async def test_an_input_is_handed_to_the_stage_that_needs_it(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    await _do(postgres, video, SCRIPT)
    assert (await _claim(postgres, video, MEDIA)).input("script", Script) == OUTPUT


async def test_the_join_waits_for_both_inputs(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    await _do(postgres, video, SCRIPT, MEDIA)
    answer = await claims(postgres).claim(video, RENDER, entry="stream:media/1-0", delayed=False)
    assert answer == NothingToDo("inputs are not done")
    await _do(postgres, video, AUDIO)
    await _claim(postgres, video, RENDER)


async def test_the_last_stage_completes_the_video(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    await _do(postgres, video, *flow.STAGES)
    row = await videos.find(video)
    assert row is not None
    assert row.status == "completed"
    assert await value(postgres, "SELECT count(*) FROM pipeline_stage_times WHERE video_id = $1", video) == 5
    titles = {stage.title for stage in flow.STAGES}
    assert await value(postgres, "SELECT array_agg(DISTINCT stage) <@ $1 FROM pipeline_stage_times", list(titles))


async def test_a_live_lease_is_respected_and_tells_same_entry_from_another(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    await _claim(postgres, video, SCRIPT, entry="stream:admitted/7-0")
    other = claims(postgres, "worker-b")
    same = await other.claim(video, SCRIPT, entry="stream:admitted/7-0", delayed=False)
    assert isinstance(same, Held)
    assert (same.worker, same.same_entry) == ("worker-a", True)
    assert 0 < same.lease_left_s <= LEASE_S
    different = await other.claim(video, SCRIPT, entry="stream:admitted/8-0", delayed=False)
    assert isinstance(different, Held)
    assert not different.same_entry


async def test_a_zombie_commits_nothing(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    zombie = await _claim(postgres, video, SCRIPT)
    await _expire(postgres, video)
    heir = await claims(postgres, "worker-b").claim(video, SCRIPT, entry="stream:x/1-0", delayed=False)
    assert isinstance(heir, Claim)
    assert heir.attempt == 2
    mine = claims(postgres)
    assert not await mine.renew(zombie, 0.5)
    assert await mine.commit(zombie, OUTPUT) is None
    assert await mine.fail(zombie, "late") is None
    assert not await mine.retry_later(zombie, "late", 1)
    assert not await mine.release(zombie, "late")
    assert await claims(postgres, "worker-b").commit(heir, OUTPUT) is not None
    outcomes = await value(postgres, "SELECT array_agg(outcome ORDER BY attempt) FROM stage_attempts")
    assert outcomes == ["crashed", "done"]


async def test_renewing_keeps_the_lease(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    claim = await _claim(postgres, video, SCRIPT)
    await _expire(postgres, video)
    assert await claims(postgres).renew(claim, 0.25)
    answer = await claims(postgres, "worker-b").claim(video, SCRIPT, entry="e", delayed=False)
    assert isinstance(answer, Held)
    assert (await videos.stages(video))[0].progress == 0.25


async def test_no_lease_expires_within_one_lease_of_postgres_coming_back(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    await _claim(postgres, video, SCRIPT)
    await execute(postgres, "UPDATE video_stages SET lease_until = now() - interval '1 h'")
    patient = claims(postgres, "worker-b", lease_s=1e6)  # the server has not been up for so long
    answer = await patient.claim(video, SCRIPT, entry="e", delayed=False)
    assert isinstance(answer, Held)


async def test_the_lease_of_a_worker_that_is_surely_dead_is_not_waited_for_and_its_crash_counts(
    videos: Videos, postgres: Postgres
) -> None:
    video = await admitted(videos)
    dead = await _claim(postgres, video, SCRIPT)
    unknowing = claims(postgres, "worker-b", lease_s=60.0, dead=("worker-c",))
    assert isinstance(await unknowing.claim(video, SCRIPT, entry="stream:x/1-0", delayed=False), Held)
    heir = claims(postgres, "worker-b", lease_s=60.0, dead=("worker-a",))
    claim = await heir.claim(video, SCRIPT, entry="stream:x/1-0", delayed=False)
    assert isinstance(claim, Claim)
    assert claim.attempt == 2
    assert await claims(postgres).commit(dead, OUTPUT) is None
    assert await value(postgres, "SELECT crashes FROM video_stages WHERE stage = 'script'") == 1
    assert await value(postgres, "SELECT array_agg(outcome ORDER BY attempt) FROM stage_attempts") == [
        "crashed",
        "running",
    ]


async def test_done_already_says_its_fact_again_only_while_somebody_waits(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    await _do(postgres, video, SCRIPT)
    again = await claims(postgres).claim(video, SCRIPT, entry="e", delayed=False)
    assert isinstance(again, AlreadyDone)
    assert again.wanted
    assert again.fact.id == f"{video}.script.1"
    await _do(postgres, video, MEDIA, AUDIO)
    last = await claims(postgres).claim(video, SCRIPT, entry="e", delayed=False)
    assert isinstance(last, AlreadyDone)
    assert not last.wanted


async def test_a_released_stage_is_open_again_and_counts_nothing(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    assert await claims(postgres).release(await _claim(postgres, video, SCRIPT), "halted")
    claim = await _claim(postgres, video, SCRIPT)
    assert (claim.attempt, claim.failures) == (2, 0)


async def test_a_retry_waits_for_its_time_except_for_the_delayed_entry_itself(
    videos: Videos, postgres: Postgres
) -> None:
    video = await admitted(videos)
    assert await claims(postgres).retry_later(await _claim(postgres, video, SCRIPT), "passing", 60)
    early = await claims(postgres).claim(video, SCRIPT, entry="e", delayed=False)
    assert early == NothingToDo("retry is not due")
    due = await claims(postgres).claim(video, SCRIPT, entry="e", delayed=True)
    assert isinstance(due, Claim)
    assert due.failures == 1


async def test_a_failed_stage_fails_its_video_and_drops_the_others(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    await _do(postgres, video, SCRIPT)
    audio = await _claim(postgres, video, AUDIO)
    fact = await claims(postgres).fail(await _claim(postgres, video, MEDIA), "no pictures")
    assert fact is not None
    assert (fact.type, fact.reason) == ("video.failed", "no pictures")
    assert not await claims(postgres).renew(audio, 0.1)
    assert [row.status for row in await videos.stages(video)] == ["done", "failed", "dropped", "dropped", "dropped"]
    assert await Queue(postgres).in_hand() == 0


async def test_a_stage_that_keeps_dying_fails_its_video(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    for _ in range(3):
        await _claim(postgres, video, SCRIPT)
        await _expire(postgres, video)
    answer = await claims(postgres).claim(video, SCRIPT, entry="e", delayed=False)
    assert isinstance(answer, CrashLoop)
    row = await videos.find(video)
    assert row is not None
    assert (row.status, row.reason) == ("failed", "script died with its process 3 times")


async def test_an_unknown_video_is_no_work(postgres: Postgres) -> None:
    answer = await claims(postgres).claim("nobody", SCRIPT, entry="e", delayed=False)
    assert answer == NothingToDo("unknown video")


async def test_two_workers_at_once_make_one_claim(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    answers = await asyncio.gather(
        *(claims(postgres, f"worker-{n}").claim(video, SCRIPT, entry=f"e{n}", delayed=False) for n in range(4))
    )
    assert sum(isinstance(answer, Claim) for answer in answers) == 1
    assert sum(isinstance(answer, Held) for answer in answers) == 3


async def test_commit_twice_commits_once_and_answers_the_same(videos: Videos, postgres: Postgres) -> None:
    video = await admitted(videos)
    claim = await _claim(postgres, video, SCRIPT)
    assert await claims(postgres).commit(claim, OUTPUT) is not None
    assert await claims(postgres).commit(claim, OUTPUT) is not None
    assert await value(postgres, "SELECT count(*) FROM stage_attempts") == 1
