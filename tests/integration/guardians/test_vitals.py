from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from deploy.launch.ports import free_ports
from guardians.vitals import Answering, VitalsGuardian
from schema.record.videos import Videos
from schema.settings.limits import Limits
from schema.telemetry import metrics
from tests.integration.guardians.conftest import StartGuardian, notices
from tests.integration.processes import Processes, until
from tests.integration.record.conftest import accept, admitted, execute
from tests.integration.streams.workers import Server

#: So that no disk on which the tests run is full.
_QUIET = Limits(queue_depth_warning=1, queue_depth_critical=2, disk_usage_percent=100, figures_min_ended=2)


@asynccontextmanager
async def _gateway(answer: asyncio.Event) -> AsyncIterator[int]:
    """Somebody who listens, and answers once the event is set; the port."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        await answer.wait()
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1])
    server.close()
    for writer in writers:
        writer.transport.abort()
    answer.set()
    await asyncio.sleep(0)  # lets them go


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


async def test_what_each_stage_has_to_do_is_exported_a_zero_too(processes: Processes) -> None:
    process = await processes("vitals", limits=_QUIET)
    guardian = VitalsGuardian(process)

    def work() -> list[float | None]:
        return [metrics.REGISTRY.get_sample_value("ytempire_stage_work", {"stage": s}) for s in ("script", "render")]

    await admitted(Videos(process.postgres))
    await guardian.tick()
    assert work() == [1, 0]
    await execute(process.postgres, "UPDATE video_stages SET status = 'failed', ended_at = now()")
    await guardian.tick()
    assert work() == [0, 0]


async def test_what_is_not_known_has_no_sample_and_no_level(processes: Processes, redis_server: Server) -> None:
    process = await processes("vitals", limits=replace(_QUIET, disk_usage_percent=1e-9))
    process = await processes(
        "vitals",
        limits=_QUIET,
        servers=replace(process.settings.servers, data_dir="/nowhere/at/all", gateway_port=free_ports()),
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


async def test_how_soon_the_gateway_answers_is_measured_beside_the_ticks() -> None:
    """Whatever it says; one that hangs is slower from tick to tick, and no tick waits for it."""
    answer = asyncio.Event()
    async with _gateway(answer) as port:
        asked = Answering("0.0.0.0", port)  # noqa: S104 - as a gateway is told that serves all
        began_s = time.monotonic()
        seen = [asked.look(), asked.look(), asked.look()]
        assert time.monotonic() - began_s < 1
        assert seen[0] is None
        assert seen[1] is not None
        assert seen[2] is not None
        assert 0 < seen[1] < seen[2]
        answer.set()
        await asked.settled()
        took_s = time.monotonic() - began_s
        assert seen[2] < (asked.look() or 0) <= took_s
        await asked.settled()


async def test_where_nobody_listens_the_time_is_not_known_and_a_hang_counts_as_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody = Answering("127.0.0.1", free_ports())
    assert nobody.look() is None
    await nobody.settled()
    assert nobody.look() is None
    await nobody.settled()
    monkeypatch.setattr("guardians.vitals._ANSWER_WITHIN_S", 0.05)
    async with _gateway(asyncio.Event()) as port:
        hangs = Answering("127.0.0.1", port)
        hangs.look()
        await hangs.settled()
        assert (hangs.look() or 0) >= 0.05
        await hangs.settled()
