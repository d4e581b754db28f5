from __future__ import annotations

import pytest

from schema.record.figures import Figures, StageTimes
from schema.record.postgres import Postgres
from tests.integration.record.conftest import execute

_VIDEO = """
INSERT INTO video_queue (id, key, status, topic, brief, processing_started_at, completed_at, ended_at)
VALUES ($1, $1, $2, 't', '{}', now() - make_interval(secs => $3),
        CASE WHEN $2 = 'completed' THEN now() - make_interval(secs => $4) END,
        CASE WHEN $2 IN ('completed', 'failed', 'cancelled') THEN now() - make_interval(secs => $4) END)"""

_STAGE = """
INSERT INTO video_stages (video_id, stage, status, output, ended_at)
VALUES ($1, $2, $3, CASE WHEN $3 = 'done' THEN '{}'::jsonb END, CASE WHEN $3 = 'done' THEN now() END)"""


async def video(postgres: Postgres, name: str, status: str, began_s: float = 0, ended_s: float = 0) -> None:
    """A video that began and ended so many seconds ago."""
    await execute(postgres, _VIDEO, name, status, began_s, ended_s)


async def resumed(postgres: Postgres, ago_s: float) -> None:
    await execute(
        postgres,
        """INSERT INTO control_log (command, verb, by, applied_at)
           VALUES (gen_random_uuid()::text, 'resume', 'operator', now() - make_interval(secs => $1))""",
        ago_s,
    )


async def test_an_empty_record_knows_no_times(postgres: Postgres) -> None:
    found = await Figures(postgres).window(3600)
    assert (found.queued, found.completed, found.failed, found.processing_s, found.unheld_s) == (0, 0, 0, None, None)
    assert await Figures(postgres).stage_times(3600) == []


async def test_a_stage_has_work_for_what_it_does_or_could_do_and_none_for_what_lacks_an_input(
    postgres: Postgres,
) -> None:
    assert await Figures(postgres).stage_work() == {}
    for name, stages in {
        "new": {"script": "open", "media": "open", "audio": "open", "render": "open", "quality": "open"},
        "half": {"script": "done", "media": "done", "audio": "running", "render": "open", "quality": "open"},
        "ready": {"script": "done", "media": "done", "audio": "done", "render": "retrying", "quality": "open"},
        "over": {"script": "done", "media": "failed", "audio": "dropped", "render": "dropped", "quality": "dropped"},
    }.items():
        await video(postgres, name, "failed" if name == "over" else "processing", 10, 1)
        for stage, status in stages.items():
            await execute(postgres, _STAGE, name, stage, status)
    assert await Figures(postgres).stage_work() == {"script": 1, "audio": 1, "render": 1}


async def test_the_window_counts_what_ended_in_it_and_the_queue_of_now(postgres: Postgres) -> None:
    for name, status, began_s, ended_s in (
        ("a", "completed", 400.0, 100.0),
        ("b", "completed", 600.0, 100.0),
        ("c", "failed", 9000.0, 10.0),
        ("d", "cancelled", 600.0, 100.0),
        ("e", "completed", 9000.0, 3700.0),
        ("f", "queued", 0.0, 0.0),
        ("g", "processing", 10.0, 0.0),
    ):
        await video(postgres, name, status, began_s, ended_s)
    found = await Figures(postgres).window(3600)
    assert (found.queued, found.completed, found.failed, found.ended) == (1, 2, 1, 3)
    assert found.processing_s == pytest.approx(400)


async def test_what_stood_still_does_not_count_towards_the_processing_time(postgres: Postgres) -> None:
    await video(postgres, "held", "completed", 3000, 10)
    await video(postgres, "after", "completed", 200, 10)
    await resumed(postgres, 5000)
    await resumed(postgres, 1000)
    found = await Figures(postgres).window(3600)
    assert found.completed == 2
    assert found.processing_s == pytest.approx(190)
    assert found.unheld_s == pytest.approx(1000, abs=60)


async def test_the_slowest_stage_of_the_last_hour_comes_first(postgres: Postgres) -> None:
    attempt = """INSERT INTO stage_attempts (video_id, stage, attempt, worker, started_at, ended_at, outcome)
                 VALUES ($1, $2, 1, 'w', now() - make_interval(secs => $3), now() - make_interval(secs => $4), $5)"""
    for number, (stage, began_s, ended_s, outcome) in enumerate(
        [
            ("script", 12.0, 10.0, "done"),
            ("render", 100.0, 10.0, "done"),
            ("render", 40.0, 10.0, "done"),
            ("render", 3000.0, 10.0, "failed"),
            ("audio", 9000.0, 4000.0, "done"),
        ]
    ):
        await execute(postgres, attempt, f"v{number}", stage, began_s, ended_s, outcome)
    assert await Figures(postgres).stage_times(3600) == [
        StageTimes("video_rendering", 60.0, 90.0, 2),
        StageTimes("script_generation", 2.0, 2.0, 1),
    ]
