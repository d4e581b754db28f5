from __future__ import annotations

from msgspec.structs import replace

from guardians.vitals import VitalsGuardian
from schema.record.videos import Videos
from schema.settings.limits import Limits
from schema.telemetry import metrics
from tests.integration.guardians.conftest import StartGuardian, notices
from tests.integration.processes import Processes, until
from tests.integration.record.conftest import accept, execute
from tests.integration.streams.workers import Server

#: So that no disk on which the tests run is full.
_QUIET = Limits(queue_depth_warning=1, queue_depth_critical=2, disk_usage_percent=100, figures_min_ended=2)


def _sample(name: str, figure: str, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(f"ytempire_{name}", {"figure": figure, **labels})


async def test_each_level_that_changes_is_said_once_with_its_action_and_taken_back(
    processes: Processes, redis_server: Server
) -> None:
    process = await processes("vitals", limits=_QUIET)
    videos, guardian = Videos(process.postgres), VitalsGuardian(process)
    await guardian.tick()
    assert notices(redis_server) == []
    for number in range(3):
        await accept(videos, f"k{number}")
    await execute(process.postgres, "UPDATE video_queue SET status = 'queued'")
    await guardian.tick()
    await guardian.tick()
    [notice] = notices(redis_server, "vitals.level")
    assert (notice["cause"], notice["level"], notice["action"]) == ("queue_depth", "critical", "Scale workers")
    assert notice["reason"] == "queue depth is 3 videos (warning above 1, critical above 2)"
    assert _sample("key_figure", "queue_depth") == 3
    assert _sample("key_figure_level", "queue_depth") == 2
    assert _sample("guardian_limit", "queue_depth", guardian="vitals", level="critical") == 2
    await execute(process.postgres, "UPDATE video_queue SET status = 'failed', ended_at = now()")
    await guardian.tick()
    errors, depth = sorted(notices(redis_server, "vitals.level")[1:], key=lambda said: said["level"])
    assert (depth["cause"], depth["level"]) == ("queue_depth", "normal")
    assert "action" not in depth
    assert (errors["cause"], errors["level"], errors["action"]) == ("error_rate", "critical", "Debug immediately")
    assert (_sample("key_figure", "error_rate"), _sample("key_figure", "success_rate")) == (100, 0)


async def test_what_is_not_known_has_no_sample_and_no_level(processes: Processes, redis_server: Server) -> None:
    process = await processes("vitals", limits=replace(_QUIET, disk_usage_percent=1e-9))
    process = await processes(
        "vitals", limits=_QUIET, servers=replace(process.settings.servers, data_dir="/nowhere/at/all")
    )
    process.gate.set("halted")
    guardian = VitalsGuardian(process)
    await guardian.tick()
    unknown = ("processing_time", "error_rate", "success_rate", "disk_usage", "api_response", "oldest_event")
    assert [figure for figure in unknown if _sample("key_figure", figure) is not None] == []
    assert [figure for figure in unknown if _sample("key_figure_level", figure) is not None] == []
    assert notices(redis_server) == []


async def test_a_full_disk_is_said_by_the_process_and_its_figures_are_exported(
    start_guardian: StartGuardian, redis_server: Server
) -> None:
    guardian = start_guardian("vitals", YTEMPIRE_DISK_USAGE_PERCENT="1e-9")
    await until(lambda: len(notices(redis_server, "vitals.level")) == 1)
    [notice] = notices(redis_server)
    assert (notice["cause"], notice["level"], notice["action"]) == ("disk_usage", "critical", "Clean up")
    assert guardian.process.poll() is None
