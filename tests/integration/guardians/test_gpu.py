"""The gpu guardian as a process, on the real pynvml and a fake driver: GPU out of memory, busy, lost, absent."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from msgspec.structs import replace

from actors.dispatch import Dispatch
from guardians import gpu
from guardians.gpu import GpuGuardian
from guardians.nvml import Card, Nvml, Reading
from schema.record.stops import AdmissionStops
from schema.record.videos import Videos
from schema.settings.limits import Limits
from streams import names
from tests.fakes.nvml import DRIVER_NOT_LOADED, GPU_IS_LOST, INSUFFICIENT_MEMORY, TIMEOUT, Driver
from tests.integration.guardians.conftest import Guardian, StartGuardian, notices
from tests.integration.processes import Processes, entries, running, until
from tests.integration.record.conftest import accept, value
from tests.integration.streams.workers import Server

HOST = socket.gethostname()
FULL, LOW = "0.used_mb 31000", "0.used_mb 29000"


def orders(server: Server, cause: str) -> list[tuple[str, str]]:
    """Jobs and host of each throttle that the guardian ordered for this cause."""
    ordered = [fields for fields in entries(server, names.CONTROL) if fields[b"cause"] == cause.encode()]
    assert {(fields[b"type"], fields[b"by"]) for fields in ordered} <= {(b"throttle", b"gpu")}
    return [(fields[b"jobs"].decode(), fields[b"host"].decode()) for fields in ordered]


async def test_a_card_that_fills_up_asks_memory_back_throttles_stops_admission_and_all_goes_on_when_it_is_free(
    start_guardian: StartGuardian, driver: Driver, processes: Processes, redis_server: Server
) -> None:
    dispatch = Dispatch(await processes("dispatch"))
    videos = Videos(processes.made[0].postgres)
    guardian = start_guardian("gpu", YTEMPIRE_GPU_CALM_S="0.1", **driver.environ)
    await until(lambda: '"gpu.cards"' in guardian.said())
    driver.says(LOW)
    await until(lambda: len(notices(redis_server, "gpu.release")) == 1)
    await until(lambda: len(notices(redis_server, "gpu.throttled")) == 1)
    assert notices(redis_server, "gpu.admission") == []
    assert orders(redis_server, "gpu_memory")[-1] == ("2", HOST)
    [release] = notices(redis_server, "gpu.release")
    assert (release["by"], release["cause"], release["host"]) == ("gpu", "gpu_memory", HOST)
    assert release["reason"] == ("card 0: 29000 of 32768 MB used (limit 30720), 3768 MB free (at least 4096)")
    driver.says(FULL)
    await until(lambda: len(notices(redis_server, "gpu.admission_stopped")) == 1)
    await accept(videos, "k")
    await dispatch.turn()
    assert await videos.counts() == {"queued": 1}
    exported = await asyncio.to_thread(guardian.exported)
    assert 'ytempire_gpu_memory_bytes{card="0",kind="used"} 3.2505856e+10' in exported
    assert 'ytempire_gpu_memory_bytes{card="0",kind="limit_used"} 3.221225472e+10' in exported
    assert f'ytempire_gpu_jobs_limit{{host="{HOST}"}} 2.0' in exported
    assert 'ytempire_admission_stopped{cause="gpu_memory"} 1.0' in exported
    assert 'ytempire_guardian_last_tick_timestamp_seconds{guardian="gpu"}' in exported
    driver.says()
    await until(lambda: len(notices(redis_server, "gpu.admission_resumed")) == 1)
    await until(lambda: len(notices(redis_server, "gpu.throttle_lifted")) == 1)
    assert orders(redis_server, "gpu_memory")[-1] == ("all", HOST)
    await dispatch.turn()
    assert await videos.counts() == {"processing": 1}
    assert len(notices(redis_server, "gpu.release")) == 1, "it asks again after half a minute, not at each look"


async def test_a_driver_without_memory_is_a_full_card(
    start_guardian: StartGuardian, driver: Driver, redis_server: Server
) -> None:
    driver.says(f"0.nvmlDeviceGetMemoryInfo {INSUFFICIENT_MEMORY}")
    start_guardian("gpu", **driver.environ)
    await until(lambda: len(notices(redis_server, "gpu.admission_stopped")) == 1)
    assert notices(redis_server, "gpu.release")[0]["reason"] == "card 0: Insufficient Memory"


async def test_a_busy_card_throttles_and_says_so_once(
    start_guardian: StartGuardian, driver: Driver, redis_server: Server
) -> None:
    driver.says("0.utilization 99")
    start_guardian("gpu", YTEMPIRE_GPU_CALM_S="0.1", **driver.environ)
    await until(lambda: len(notices(redis_server, "gpu.throttled")) == 1)
    [level] = notices(redis_server, "gpu.level")
    assert (level["cause"], level["level"], level["action"]) == ("gpu_utilization", "critical", "Queue throttling")
    assert notices(redis_server, "gpu.admission") == []
    driver.says("0.utilization 50")
    await until(lambda: len(notices(redis_server, "gpu.throttle_lifted")) == 1)
    assert len(notices(redis_server, "gpu.throttled")) == 1
    assert notices(redis_server, "gpu.level")[-1]["level"] == "normal"


async def test_a_lost_card_is_said_once_and_so_is_its_return_and_the_guardian_lives(
    start_guardian: StartGuardian, driver: Driver, redis_server: Server
) -> None:
    guardian = start_guardian("gpu", YTEMPIRE_GPU_CALM_S="0.1", **driver.environ)
    driver.says(FULL)
    await until(lambda: len(notices(redis_server, "gpu.admission_stopped")) == 1)
    driver.says(f"nvmlDeviceGetCount {GPU_IS_LOST}")
    await until(lambda: len(notices(redis_server, "gpu.lost")) == 1)
    await until(lambda: len(notices(redis_server, "gpu.admission_resumed")) == 1)
    driver.says(f"nvmlInitWithFlags {DRIVER_NOT_LOADED}")
    driver.says()
    await until(lambda: len(notices(redis_server, "gpu.back")) == 1)
    [lost] = notices(redis_server, "gpu.lost")
    assert (lost["level"], lost["cause"]) == ("critical", "lost")
    assert "CPU" in lost["action"]
    assert guardian.process.poll() is None
    assert "Traceback" not in guardian.said()


async def test_a_card_that_cannot_be_read_leaves_things_as_they_are(
    start_guardian: StartGuardian, driver: Driver, redis_server: Server
) -> None:
    start_guardian("gpu", YTEMPIRE_GPU_CALM_S="0", **driver.environ)
    driver.says(FULL)
    await until(lambda: len(notices(redis_server, "gpu.admission_stopped")) == 1)
    driver.says(f"0.nvmlDeviceGetMemoryInfo {TIMEOUT}")
    await until(lambda: len(notices(redis_server, "gpu.lost")) == 1)
    driver.says(LOW)
    await until(lambda: len(notices(redis_server, "gpu.back")) == 1)
    assert notices(redis_server, "gpu.admission_resumed") == []


async def test_a_machine_without_a_card_says_so_once_and_is_looked_at_again_later(
    start_guardian: StartGuardian, driver: Driver, processes: Processes, redis_server: Server
) -> None:
    process = await processes("test")
    await AdmissionStops(process.postgres).keep("gpu", HOST, {"gpu_memory": "of a former process"})
    driver.says(cards=0)
    guardian = start_guardian("gpu", **driver.environ)
    await until(lambda: len(notices(redis_server, "gpu.admission_resumed")) == 1)
    await _ticks(guardian)
    assert guardian.said().count('"gpu.none"') == 1
    assert entries(redis_server, names.CONTROL) == []
    assert await value(process.postgres, "SELECT count(*) FROM admission_stops") == 0


async def _ticks(guardian: Guardian) -> None:
    """Waits for some more ticks."""

    def last() -> str:
        lines = guardian.exported().splitlines()
        return next((line for line in lines if line.startswith("ytempire_guardian_last_tick_timestamp_seconds{")), "")

    for _ in range(3):
        seen = await asyncio.to_thread(last)
        while await asyncio.to_thread(last) == seen:
            pass


async def test_a_render_process_without_gpu_memory_brings_help_at_once(
    processes: Processes, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = replace(processes.servers, guardian_tick_s=3600.0)
    process = await processes("gpu", limits=Limits(), servers=servers)
    looked = asyncio.Event()
    tick = GpuGuardian.tick

    async def seen(guardian: GpuGuardian) -> None:
        await tick(guardian)
        looked.set()

    monkeypatch.setattr(GpuGuardian, "tick", seen)
    async with running(gpu.run(process)):
        await looked.wait()
        redis_server.xadd(names.NOTICES, {"type": "gpu.out_of_memory", "by": "render", "host": "another"})
        redis_server.xadd(
            names.NOTICES, {"type": "gpu.out_of_memory", "by": "render", "host": HOST, "reason": "cupy: no 800 MB"}
        )
        await until(lambda: len(notices(redis_server, "gpu.throttled")) == 1)
    [release] = notices(redis_server, "gpu.release")
    assert release["reason"] == "cupy: no 800 MB"
    assert not await AdmissionStops(process.postgres).standing()


async def test_a_driver_that_hangs_is_asked_once_and_the_guardian_goes_on(
    processes: Processes, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, asked = threading.Event(), []

    class Hanging(Nvml):
        def read(self) -> Reading:
            asked.append(1)
            go_on.wait()
            return Reading((Card(0, "card", 32768, 0, 32768),))

    monkeypatch.setattr(gpu, "_DRIVER_PATIENCE_S", 0.01)
    monkeypatch.setattr(gpu, "Nvml", Hanging)
    guardian = GpuGuardian(await processes("gpu"))
    try:
        for _ in range(3):
            await guardian.tick()
        assert len(asked) == 1
    finally:
        go_on.set()
    [lost] = notices(redis_server, "gpu.lost")
    assert lost["reason"] == "the driver: no answer within 0.01 s"

    async def back() -> bool:
        await guardian.tick()
        return len(notices(redis_server, "gpu.back")) == 1

    await until(back)
