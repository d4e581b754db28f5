"""Finished films that are gone or have changed: restored, quarantined, or, where many are, only said."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from guardians.integrity import IntegrityGuardian
from schema.artifacts import Artifacts
from schema.documents import ArtifactRef, Film, Verdict
from streams.process import Process
from tests.integration.guardians.conftest import notices
from tests.integration.guardians.planting import LIMITS, Owner, plant, said, status
from tests.integration.processes import Processes
from tests.integration.streams.workers import Server


@pytest.fixture
async def process(processes: Processes) -> Process:
    return await processes("integrity", limits=LIMITS)


@pytest.fixture
def guardian(process: Process) -> IntegrityGuardian:
    return IntegrityGuardian(process)


async def filmed(owner: Owner, folder: Path, video: str = "v", *, linked: bool = False) -> ArtifactRef:
    """A completed video with its film, and the working copy of it, which shares its bytes where it is `linked`."""
    artifacts, source = Artifacts(str(folder)), folder / "film"
    source.write_text(f"film of {video}")
    working = artifacts.put(source, f"work/{video}/render-1-film.mp4")
    final = artifacts.promote(working, f"videos/{video}.mp4")
    if not linked:
        (folder / final.path).unlink()
        artifacts.put(source, final.path)
    film = Film(working, working, 1280, 720, 30, 1, 1.0, "libx264")
    await plant(owner, "completed", "done done done done done", video=video)
    for stage, output in (("render", film), ("quality", Verdict(passed=True, findings=(), video=final))):
        await owner.execute(
            "UPDATE video_stages SET output = $3::jsonb WHERE video_id = $1 AND stage = $2",
            *(video, stage, msgspec.json.encode(output).decode()),
        )
    return final


async def test_a_film_that_is_gone_or_changed_is_restored_from_its_working_copy(
    guardian: IntegrityGuardian, owner: Owner, redis_server: Server, tmp_path: Path
) -> None:
    await guardian.tick()
    final = await filmed(owner, tmp_path)
    await guardian.tick()
    assert said(redis_server) == []
    for damage in ("unlink", "change"):
        path = tmp_path / final.path
        path.unlink() if damage == "unlink" else path.write_text("another film")
        await guardian.tick()
        assert path.read_text() == "film of v"
        path.unlink()
        path.write_text("film of v")
    assert said(redis_server) == [("integrity.repaired", "film")] * 2
    assert await status(owner) == "completed"


async def test_a_film_that_cannot_be_restored_is_quarantined_with_its_reason(
    guardian: IntegrityGuardian, owner: Owner, redis_server: Server, tmp_path: Path
) -> None:
    final = await filmed(owner, tmp_path, linked=True)
    (tmp_path / final.path).write_text("half a film")
    await guardian.tick()
    assert await status(owner) == "failed"
    reason = str(await owner.fetchval("SELECT reason FROM video_queue"))
    assert reason.startswith("quarantined: videos/v.mp4 has changed: it is 11 bytes, sha256 ")
    assert not (tmp_path / "videos" / "v.mp4").exists()
    assert (tmp_path / "quarantine" / "v" / "v.mp4").read_text() == "half a film"
    [notice] = notices(redis_server, "integrity.")
    assert (notice["type"], notice["cause"], notice["level"]) == ("integrity.quarantined", "film", "critical")


async def test_films_are_read_by_turns_and_a_store_that_lost_many_is_said_and_not_believed(
    processes: Processes, owner: Owner, redis_server: Server, tmp_path: Path
) -> None:
    videos = [f"v{number}" for number in range(6)]
    for video in videos:
        (tmp_path / (await filmed(owner, tmp_path, video, linked=True)).path).unlink()
        (tmp_path / "work" / video / "render-1-film.mp4").unlink()
    await IntegrityGuardian(await processes("integrity", limits=LIMITS)).tick()
    assert [await status(owner, video) for video in videos] == ["failed"] + 5 * ["completed"]
    guardian = IntegrityGuardian(await processes("integrity", limits=LIMITS))
    for _ in videos:
        await guardian.tick()
    assert [await status(owner, video) for video in videos] == 4 * ["failed"] + 2 * ["completed"]
    assert said(redis_server, "integrity.found") == [("integrity.found", "many_films")]


async def test_a_store_that_is_not_there_says_nothing_about_its_films(
    processes: Processes, owner: Owner, redis_server: Server, tmp_path: Path
) -> None:
    await filmed(owner, tmp_path)
    servers = msgspec.structs.replace(processes.servers, artifacts_url=str(tmp_path / "not-mounted"))
    await IntegrityGuardian(await processes("integrity", limits=LIMITS, servers=servers)).tick()
    assert await status(owner) == "completed"
    assert said(redis_server) == [("integrity.found", "store")]
