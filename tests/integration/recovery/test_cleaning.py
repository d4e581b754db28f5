"""What goes and what stays when room is made."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from deploy.recovery.cleaning import Cleaning, Item
from schema.artifacts import Artifacts
from schema.record.postgres import Postgres
from schema.settings.servers import Servers
from streams.transport import consumers
from tests.integration.recovery import planting

_OLD_S = 40 * 86_400
#: The name of a process on the bus, and the same with a number that no system gives to a process.
LIVING = consumers.new_name("media")
DEAD = LIVING.replace(f"media-{os.getpid()}", f"render-{1 << 30}")
#: Of another machine, where nobody here can look.
ELSEWHERE, LATELY = "other-render-7-0123456789", "other-media-7-0123456789"


@pytest.fixture
def settings(tmp_path: Path) -> Servers:
    return planting.servers(tmp_path)


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[Postgres]:
    postgres = Postgres(database_url, Servers(db_pool_min=1, db_pool_max=1), process="test")
    await postgres.open()
    yield postgres
    await postgres.close()


@pytest.fixture
def planted(database_url: str, settings: Servers) -> Path:
    """Videos in every state, and all kinds of old files; returns the data directory."""
    planting.in_hand(database_url, settings, "live")
    planting.ended(database_url, settings, "new", "completed", days_ago=1)
    planting.ended(database_url, settings, "old", "completed", days_ago=8)
    planting.ended(database_url, settings, "lately_failed", "failed", days_ago=8)
    planting.ended(database_url, settings, "long_failed", "failed", days_ago=31)
    for path in ("work/unheard/audio-1-voice.wav", "work/live/film.mp4.1234.part", "videos/x.mp4.1234.part"):
        planting.stored(settings, path)
    folder = Path(settings.data_dir)
    for name in (
        "logs/pipeline.log",
        "logs/pipeline.1.log",
        f"scratch/{DEAD}/a",
        f"scratch/{ELSEWHERE}/a",
        f"scratch/{LIVING}/a",
        f"scratch/{LATELY}/a",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    for each in folder.rglob("*"):
        if not each.is_relative_to(folder / "scratch") or each.name in (DEAD, ELSEWHERE):
            os.utime(each, (each.stat().st_mtime - _OLD_S,) * 2)
    return folder


async def test_only_what_nobody_needs_goes_and_inputs_of_live_work_stay(
    postgres: Postgres, database_url: str, settings: Servers, planted: Path
) -> None:
    cleaning = Cleaning(settings, postgres, database_url)
    items = await cleaning.look()
    assert {Path(item.name).relative_to(planted).as_posix(): item.kind for item in items} == {
        "work/old": "work",
        "work/long_failed": "work",
        "work/unheard": "work",
        "work/live/film.mp4.1234.part": "part",
        "videos/x.mp4.1234.part": "part",
        "logs/pipeline.1.log": "log",
        f"scratch/{DEAD}": "scratch",
        f"scratch/{ELSEWHERE}": "scratch",
    }
    assert sorted(path.name for path in (planted / "work").iterdir())[:2] == ["lately_failed", "live"]  # only looked
    assert await cleaning.carry_out(items, print) == sum(item.size_bytes for item in items)
    assert sorted(path.name for path in (planted / "work").iterdir()) == ["lately_failed", "live", "new"]
    assert (planted / "work/live/audio-1-voice.wav").exists()
    assert sorted(path.name for path in (planted / "videos").iterdir()) == ["new.mp4", "old.mp4"]
    assert await Cleaning(settings, postgres, database_url).look() == []


async def test_of_a_store_elsewhere_goes_what_nobody_comes_for_here_and_what_is_in_use_stays(
    postgres: Postgres, database_url: str, settings: Servers, planted: Path
) -> None:
    elsewhere = msgspec.structs.replace(settings, artifacts_url="memory://elsewhere")
    cache = planted / "cache"
    cache.mkdir()
    for name in ("unused", "in_use", "fresh"):
        (cache / name).write_text("x")
    for name in ("unused", "in_use"):
        os.utime(cache / name, (0, 0))
    cleaning = Cleaning(elsewhere, postgres, database_url)
    items = [item for item in await cleaning.look() if item.kind in {"cache", "parts", "work"}]
    assert {Path(item.name).relative_to(planted).as_posix(): item.kind for item in items} == {
        "cache/unused": "cache",
        "cache/in_use": "cache",
        "work/new": "parts",
        "work/old": "parts",
        "work/long_failed": "parts",
        "work/unheard": "parts",
    }
    said: list[str] = []
    with (cache / "in_use").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        await cleaning.carry_out(items, said.append)
    assert said == [f"kept, it is in use: {cache / 'in_use'}"]
    assert sorted(path.name for path in cache.iterdir()) == ["fresh", "in_use", "lock"]
    assert sorted(path.name for path in (planted / "work").iterdir()) == ["lately_failed", "live"]


async def test_a_video_that_was_taken_up_again_since_the_look_keeps_its_work(
    postgres: Postgres, database_url: str, settings: Servers, planted: Path
) -> None:
    cleaning = Cleaning(settings, postgres, database_url)
    items = [item for item in await cleaning.look() if item.name.endswith("long_failed")]
    await _execute(database_url, "UPDATE video_queue SET status = 'queued', ended_at = NULL WHERE id = 'long_failed'")
    said: list[str] = []
    assert await cleaning.carry_out(items, said.append) == 0
    assert said == [f"kept, it is in use: {planted / 'work/long_failed'}"]
    assert (planted / "work/long_failed/audio-1-voice.wav").exists()


async def test_what_was_bought_stays_and_a_failed_video_is_made_again_from_its_script(
    postgres: Postgres, database_url: str, settings: Servers, planted: Path
) -> None:
    bought = Artifacts(settings.artifacts_address).put(planted / "logs/pipeline.log", "work/long_failed/bought.mp3")
    await _execute(
        database_url,
        """INSERT INTO money.purchases (input_hash, take, state, holder, video_id, stage, attempt, result, artifacts)
           VALUES ('h', 0, 'bought', gen_random_uuid(), 'long_failed', 'audio', 1, '{}',
                   jsonb_build_array(jsonb_build_object('name', 'a', 'ref', jsonb_build_object(
                       'path', $1::text, 'size_bytes', $2::int, 'sha256', $3::text))))""",
        *(bought.path, bought.size_bytes, bought.sha256),
    )
    cleaning = Cleaning(settings, postgres, database_url)
    items = [item for item in await cleaning.look() if item.name.endswith("long_failed")]
    assert await cleaning.carry_out(items, print) > 0
    assert [path.name for path in (planted / "work/long_failed").iterdir()] == ["bought.mp3"]
    connection = await asyncpg.connect(database_url)
    stages = await connection.fetch("SELECT stage, status FROM video_stages WHERE video_id = 'long_failed' ORDER BY 1")
    await connection.close()
    assert [tuple(row) for row in stages] == [("audio", "dropped"), ("script", "done")]


async def test_records_that_were_put_aside_go_after_a_week_and_nobody_elses(
    postgres: Postgres, database_url: str, settings: Servers
) -> None:
    name = database_url.rpartition("/")[2]
    ours = [f"{name}_before_20200101t000000z", f"{name}_restoring", f"{name}_before_29990101t000000z"]
    for each in (*ours, "another_before_20200101t000000z"):
        await _execute(database_url, f"CREATE DATABASE {each} TEMPLATE template0")
    cleaning = Cleaning(settings, postgres, database_url)
    items = await cleaning.look()
    assert sorted(item.name for item in items) == sorted(ours[:2])
    assert all(isinstance(item, Item) and item.kind == "database" for item in items)
    await cleaning.carry_out(items, print)
    assert await Cleaning(settings, postgres, database_url).look() == []
    for each in (ours[2], "another_before_20200101t000000z"):
        await _execute(database_url, f"DROP DATABASE {each}")


async def _execute(database_url: str, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(statement, *arguments)
    await connection.close()
