"""Cancelling a video, and taking it up again, in the record."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from schema import flow
from schema.documents import Scene, Script
from schema.errors import RefusedError
from schema.events.command import Command
from schema.record.admission import Queue
from schema.record.announcements import Announcements
from schema.record.claims import AlreadyDone, Claim, NothingToDo
from schema.record.commands import Commands
from schema.record.owed import Debts
from schema.record.postgres import Postgres
from schema.record.videos import Videos
from tests.integration.processes import until
from tests.integration.record.conftest import accept, admitted, claims, execute, value

SCRIPT, MEDIA, AUDIO, RENDER, QUALITY = flow.STAGES
OUTPUT = Script(title="t", scenes=(Scene(narration="words"),))


@pytest.fixture
def commands(postgres: Postgres) -> Commands:
    return Commands(postgres)


def cancelling(video: str) -> Command:
    return Command("cancel", "no longer wanted", video=video, id=f"cancel {video}")


def retrying(video: str, from_stage: str = "", *, fresh: bool = False, number: int = 1) -> Command:
    return Command(
        "retry", video=video, from_stage=from_stage, fresh="yes" if fresh else "", id=f"retry {video} {number}"
    )


async def claimed(postgres: Postgres, video: str, stage: flow.Stage) -> Claim:
    answer = await claims(postgres).claim(video, stage, entry="e", delayed=False)
    assert isinstance(answer, Claim), answer
    return answer


async def do(postgres: Postgres, video: str, *stages: flow.Stage) -> None:
    for stage in stages:
        assert await claims(postgres).commit(await claimed(postgres, video, stage), OUTPUT)


async def failed_in_render(videos: Videos, postgres: Postgres) -> str:
    """A video whose render failed for good."""
    video = await admitted(videos)
    await do(postgres, video, SCRIPT, MEDIA, AUDIO)
    assert await claims(postgres).fail(await claimed(postgres, video, RENDER), "no film")
    return video


async def status(videos: Videos, video: str) -> str:
    row = await videos.find(video)
    assert row is not None
    return row.status


async def stages(videos: Videos, video: str) -> list[str]:
    return [row.status for row in await videos.stages(video)]


async def takes(postgres: Postgres, video: str) -> object:
    sql = "SELECT array_agg(take ORDER BY array_position($2, stage)) FROM video_stages WHERE video_id = $1"
    return await value(postgres, sql, video, [stage.name for stage in flow.STAGES])


async def admit(queue: Queue) -> list[str]:
    await queue.promote(capacity=100, age_per_priority_s=600)
    return [one.video for one in await queue.admit(most=7, age_per_priority_s=600)]


async def test_a_waiting_video_is_cancelled_and_never_admitted(
    videos: Videos, queue: Queue, commands: Commands
) -> None:
    video = await accept(videos, "k")
    answer = await commands.apply(cancelling(video))
    assert answer.did == f"{video} is cancelled"
    row = await videos.find(video)
    assert row is not None
    assert (row.status, row.reason) == ("cancelled", "cancelled by operator: no longer wanted")
    assert await admit(queue) == []


async def test_a_running_attempt_of_a_cancelled_video_loses_its_hold_and_commits_nothing(
    videos: Videos, queue: Queue, commands: Commands, postgres: Postgres
) -> None:
    video = await admitted(videos)
    await do(postgres, video, SCRIPT)
    running = await claimed(postgres, video, MEDIA)
    await commands.apply(cancelling(video))
    mine = claims(postgres)
    assert not await mine.renew(running, 0.5)
    assert await mine.commit(running, OUTPUT) is None
    assert not await mine.release(running, "superseded")
    again = await mine.claim(video, MEDIA, entry="e", delayed=False)
    assert again == NothingToDo("video has ended")
    assert await stages(videos, video) == ["done", "dropped", "dropped", "dropped", "dropped"]
    assert await queue.in_hand() == 0
    outcomes = "SELECT array_agg(outcome ORDER BY started_at) FROM stage_attempts"
    assert await value(postgres, outcomes) == ["done", "dropped"]


async def test_the_same_cancellation_twice_is_one_and_another_one_is_refused(
    videos: Videos, commands: Commands, postgres: Postgres
) -> None:
    video = await accept(videos, "k")
    await commands.apply(cancelling(video))
    assert (await commands.apply(cancelling(video))).did == "nothing: it was applied before"
    assert len(await Announcements(postgres).due()) == 1
    with pytest.raises(RefusedError, match="has ended already: it is cancelled"):
        await commands.apply(Command("cancel", video=video, id="another"))


@pytest.mark.parametrize("verb", ["cancel", "retry", "mode"])
async def test_a_video_that_nobody_knows_is_refused_by_name_and_leaves_no_trace(
    commands: Commands, postgres: Postgres, verb: str
) -> None:
    unknown = {
        "cancel": Command("cancel", video="nobody", id="x"),
        "retry": Command("retry", video="nobody", id="x"),
        "mode": Command("mode", mode="economy", video="nobody", id="x"),
    }
    with pytest.raises(RefusedError, match="there is no video nobody"):
        await commands.apply(unknown[verb])
    assert await value(postgres, "SELECT count(*) FROM control_log") == 0


@pytest.mark.parametrize("where", ["waiting", "queued", "processing"])
async def test_a_retry_of_a_video_that_has_not_ended_is_refused_with_a_right_line_and_changes_nothing(
    videos: Videos, queue: Queue, commands: Commands, postgres: Postgres, where: str
) -> None:
    video = await (admitted(videos) if where == "processing" else accept(videos, "k"))
    if where == "queued":
        await queue.promote(capacity=1, age_per_priority_s=600)
    before = await value(postgres, "SELECT row(v.*, s.*)::text FROM video_queue v LEFT JOIN video_stages s ON true")
    with pytest.raises(RefusedError, match=f"is {where}: only a video that has ended") as refused:
        await commands.apply(retrying(video, "render", fresh=True))
    cancel = f'type cancel video {video} reason "to retry it"'
    assert refused.value.hint == f"redis-cli XADD stream:control '*' {cancel}"
    after = "SELECT row(v.*, s.*)::text FROM video_queue v LEFT JOIN video_stages s ON true"
    assert await value(postgres, after) == before


async def test_a_failed_video_goes_on_at_its_first_stage_that_is_not_done(
    videos: Videos, queue: Queue, commands: Commands, postgres: Postgres
) -> None:
    video = await failed_in_render(videos, postgres)
    answer = await commands.apply(retrying(video))
    assert answer.did == f"{video} goes on at render"
    assert await status(videos, video) == "waiting"
    assert await claims(postgres).claim(video, RENDER, entry="e", delayed=False) == NothingToDo("video has ended")
    assert await admit(queue) == [video]
    assert await stages(videos, video) == ["done", "done", "done", "open", "open"]
    assert await queue.unpublished() == ()
    [owed] = await Debts(postgres, grace_s=0).owed()
    assert (owed.video, owed.stage) == (video, "render")
    render = await claimed(postgres, video, RENDER)
    assert (render.attempt, render.failures, render.take) == (2, 0, 0)
    assert sorted(render.inputs) == ["audio", "media", "script"]
    await claims(postgres).commit(render, OUTPUT)
    await do(postgres, video, QUALITY)
    assert await status(videos, video) == "completed"


async def test_a_retry_begins_with_all_its_failures_and_crashes_forgiven(
    videos: Videos, queue: Queue, commands: Commands, postgres: Postgres
) -> None:
    video = await failed_in_render(videos, postgres)
    await execute(postgres, "UPDATE video_stages SET failures = 3, crashes = 4 WHERE stage IN ('render', 'quality')")
    await commands.apply(retrying(video))
    await admit(queue)
    assert await value(postgres, "SELECT sum(failures + crashes) FROM video_stages") == 0


async def test_a_video_that_failed_in_its_first_stage_is_admitted_with_another_fact(
    videos: Videos, queue: Queue, commands: Commands, postgres: Postgres
) -> None:
    video = await admitted(videos)
    await queue.mark_published([video])
    await claims(postgres).fail(await claimed(postgres, video, SCRIPT), "no words")
    await commands.apply(retrying(video))
    await admit(queue)
    [owed] = await queue.unpublished()
    assert (owed.video, owed.admissions) == (video, 2)
    [debt] = await Debts(postgres, grace_s=0).owed()
    assert debt.fact.id == f"{video}.admitted.2"


async def test_a_cancelled_video_that_was_never_admitted_is_taken_up_from_its_beginning(
    videos: Videos, queue: Queue, commands: Commands
) -> None:
    video = await accept(videos, "k")
    await commands.apply(cancelling(video))
    await commands.apply(retrying(video))
    assert await admit(queue) == [video]


async def test_a_completed_video_is_made_again_only_from_a_stage_that_is_named(
    videos: Videos, queue: Queue, commands: Commands, postgres: Postgres
) -> None:
    video = await admitted(videos)
    await do(postgres, video, *flow.STAGES)
    with pytest.raises(RefusedError, match="say from which stage") as refused:
        await commands.apply(retrying(video))
    assert refused.value.hint.endswith(f"type retry video {video} from render")
    await commands.apply(retrying(video, "audio"))
    assert await stages(videos, video) == ["done", "done", "dropped", "dropped", "dropped"]
    await admit(queue)
    assert [owed.stage for owed in await Debts(postgres, grace_s=0).owed()] == ["audio"]
    assert "audio" not in (await claimed(postgres, video, AUDIO)).inputs


async def test_what_a_stage_says_again_after_a_retry_is_another_fact(
    videos: Videos, queue: Queue, commands: Commands, postgres: Postgres
) -> None:
    video = await admitted(videos)
    await do(postgres, video, *flow.STAGES)
    await commands.apply(retrying(video, "render"))
    await admit(queue)
    await do(postgres, video, RENDER)
    again = await claims(postgres).claim(video, RENDER, entry="e", delayed=False)
    assert isinstance(again, AlreadyDone)
    assert (again.fact.id, again.wanted) == (f"{video}.render.2", True)


async def test_only_a_fresh_retry_raises_the_take_from_its_stage_on(
    videos: Videos, queue: Queue, commands: Commands, postgres: Postgres
) -> None:
    video = await admitted(videos)
    await do(postgres, video, *flow.STAGES)
    await commands.apply(retrying(video, "audio"))
    assert await takes(postgres, video) == [0, 0, 0, 0, 0]
    await commands.apply(cancelling(video))
    await commands.apply(retrying(video, "audio", fresh=True, number=2))
    assert await takes(postgres, video) == [0, 0, 1, 1, 1]
    await admit(queue)
    assert (await claimed(postgres, video, AUDIO)).take == 1


async def test_a_fresh_retry_without_a_stage_is_fresh_from_the_first_that_is_not_done(
    videos: Videos, commands: Commands, postgres: Postgres
) -> None:
    video = await failed_in_render(videos, postgres)
    answer = await commands.apply(retrying(video, fresh=True))
    assert answer.did == f"{video} goes on at render, with a fresh take"
    assert await takes(postgres, video) == [0, 0, 0, 1, 1]


async def test_a_retried_video_waits_for_its_turn_like_any_other(
    videos: Videos, queue: Queue, commands: Commands, postgres: Postgres
) -> None:
    video = await failed_in_render(videos, postgres)
    other = await accept(videos, "other", 9)
    await commands.apply(retrying(video))
    await queue.promote(capacity=100, age_per_priority_s=600)
    assert [one.video for one in await queue.admit(most=1, age_per_priority_s=600)] == [other]
    assert await status(videos, video) == "queued"


async def test_a_row_that_somebody_has_locked_by_hand_is_waited_for_a_moment_only(
    videos: Videos, commands: Commands, database_url: str
) -> None:
    locked, free = await accept(videos, "locked"), await accept(videos, "free")
    other = await asyncpg.connect(database_url)
    async with other.transaction():
        await other.execute("SELECT 1 FROM video_queue WHERE id = $1 FOR UPDATE", locked)
        entries = [("1-0", cancelling(locked)), ("2-0", cancelling(free)), ("3-0", Command("halt"))]
        answers = await asyncio.wait_for(commands.apply_entries(entries, after="0-0"), 5)
    await other.close()
    assert answers[0].error is not None
    assert "locked by another session" in str(answers[0].error)
    assert [answer.error for answer in answers[1:]] == [None, None]
    assert answers[2].gate == "halted"
    assert await status(videos, locked) == "waiting"


async def test_a_cancellation_that_meets_an_admission_leaves_no_live_stage_of_an_ended_video(
    videos: Videos, queue: Queue, commands: Commands, postgres: Postgres, database_url: str
) -> None:
    video = await accept(videos, "k")
    admission = await asyncpg.connect(database_url)
    async with admission.transaction():
        await admission.execute("UPDATE video_queue SET status = 'processing', processing_started_at = now()")
        await admission.execute(
            "INSERT INTO video_stages (video_id, stage) SELECT $1, unnest($2::text[])",
            *(video, [stage.name for stage in flow.STAGES]),
        )
        cancelling_it = asyncio.create_task(commands.apply(cancelling(video)))

        async def waits() -> bool:
            sql = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"
            return cancelling_it.done() or bool(await value(postgres, sql))

        await until(waits)
    await admission.close()
    assert (await cancelling_it).error is None
    assert await stages(videos, video) == ["dropped"] * 5
    assert await queue.in_hand() == 0


async def test_a_refusal_that_could_not_be_answered_is_answered_the_same_though_the_video_has_ended_since(
    videos: Videos, commands: Commands, postgres: Postgres
) -> None:
    video = await admitted(videos)
    entries = [("5-0", Command("retry", video=video))]
    [first] = await commands.apply_entries(entries, after="0-0")  # and the process is killed before it answers
    await commands.apply(cancelling(video))
    [again] = await commands.apply_entries(entries, after="0-0")
    assert first.error is not None
    assert again.error is not None
    assert (str(again.error), again.error.hint) == (str(first.error), first.error.hint)
    assert await status(videos, video) == "cancelled"
    assert await value(postgres, "SELECT count(*) FROM refused_events WHERE from_id = '5-0'") == 1
