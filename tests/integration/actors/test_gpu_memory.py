from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from actors import child
from actors.gpu_memory import GpuMemory
from actors.providers.market import Market
from actors.render import render
from actors.rendering.order import RELEASE_GPU, FilmOrder, Rendered
from actors.task import Task
from schema.artifacts import Artifacts
from schema.documents import Brief
from schema.record.claims import Claim
from schema.settings.environment import Settings
from schema.settings.servers import Servers
from schema.telemetry import metrics
from streams import names
from streams.process import Process
from streams.transport.port import Entry
from tests.integration.processes import BLOCK_S, entries, until
from tests.integration.streams.workers import Server
from tests.unit.rendering.orders import order

#: A child whose card is full: it says so, waits to be asked for memory, and has its film.
FULL = """
import sys
print('{"out_of_memory": "no 800 MB"}', flush=True)
asked = sys.stdin.buffer.readline()
print('{"released_bytes": 4096}' if asked == ASKED else asked, flush=True)
film = '"width": 2, "height": 2, "fps": 1, "frames": 1, "duration_s": 1, "encoder": "e", "fallback": ""'
print('{"result": {' + film + '}}')
""".replace("ASKED", repr(RELEASE_GPU + b"\n"))


@pytest.fixture
async def task(valkey_url: str, tmp_path: Path) -> AsyncIterator[Task]:
    """An attempt at a film, on a bus."""
    process = Process("render", Settings(servers=Servers(redis_url=valkey_url, block_s=BLOCK_S)))
    market = Market(process.postgres, process.artifacts, process.settings, process.clock)
    yield Task(Claim("v1", "render", 1, 0, Brief(topic="t"), {}, ""), process, tmp_path, market)
    await asyncio.to_thread(process.transport.close)


def _asked(**fields: str) -> Entry:
    raw = {name.encode(): text.encode() for name, text in fields.items()}
    return Entry(names.NOTICES, "1-0", raw, "", names.NOTICES, "1-0")


async def test_a_full_card_is_told_of_and_its_child_is_asked_for_memory(
    task: Task, redis_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = asyncio.create_subprocess_exec

    async def instead(*_command: str, **options: int) -> asyncio.subprocess.Process:
        return await start(sys.executable, "-c", FULL, **options)  # type: ignore[arg-type] # pipes and a limit

    monkeypatch.setattr(asyncio, "create_subprocess_exec", instead)
    with GpuMemory(task) as memory:
        heard: list[child.Line] = []

        def hears(line: child.Line) -> None:
            heard.append(line)
            memory.heard(line)

        await until(lambda: memory._observer is not None and bool(memory._observer.cursors))
        film = asyncio.create_task(child.run("film", order(tmp_path), Rendered, task, hears=hears, tells=memory.lines))
        await until(lambda: len(entries(redis_server, names.NOTICES)) == 1)
        [notice] = entries(redis_server, names.NOTICES)
        redis_server.xadd(names.NOTICES, {"type": "gpu.release", "by": "gpu", "host": "another"})
        redis_server.xadd(names.NOTICES, {"type": "gpu.release", "by": "gpu", "host": socket.gethostname()})
        assert (await film).encoder == "e"
    assert notice.pop(b"at")
    said = {name.decode(): text.decode() for name, text in notice.items()}
    assert said == {
        "type": "gpu.out_of_memory",
        "by": "render",
        "video": "v1",
        "stage": "render",
        "reason": "no 800 MB",
        "host": socket.gethostname(),
    }
    assert [(line.out_of_memory, line.released_bytes) for line in heard] == [("no 800 MB", None), ("", 4096)]
    assert memory.lines.empty()


def _write(*paths: str) -> None:
    for path in paths:
        Path(path).write_text("done")


async def test_how_a_film_was_made_is_kept_with_it_and_counted(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = order(tmp_path)
    task.artifacts = Artifacts(str(tmp_path / "artifacts"))
    ref = task.artifacts.put(Path(asked.pictures[0]), "picture.png")
    pictures = tuple(replace(picture, artifact=ref) for picture in asked.footage.pictures)
    documents = {
        "script": asked.script,
        "media": replace(asked.footage, pictures=pictures),
        "audio": replace(asked.speech, audio=ref),
    }
    task.claim = replace(task.claim, inputs={name: msgspec.json.encode(it) for name, it in documents.items()})

    async def run(_verb: str, made: FilmOrder, *_: object, **_named: object) -> Rendered:
        _write(made.out, made.plan_out)
        why = ("h264_nvenc", "no B-frames")
        return Rendered(2, 2, 1, 1, 1.0, *why, backend="gpu", fallback_cause="failed")

    monkeypatch.setattr(child, "run", run)
    counters = (metrics.RENDERS.labels("gpu", "h264_nvenc"), metrics.RENDER_FALLBACKS.labels("failed"))
    before = [counter._value.get() for counter in counters]
    film = await render(task)
    assert (film.backend, film.encoder, film.fallback) == ("gpu", "h264_nvenc", "no B-frames")
    assert [counter._value.get() for counter in counters] == [value + 1 for value in before]


@pytest.mark.parametrize(
    ("fields", "ours"),
    [
        ({"type": "gpu.release", "host": socket.gethostname()}, True),
        ({"type": "gpu.release"}, True),  # an operator's `release_gpu` is meant for all hosts
        ({"type": "gpu.release", "host": "another"}, False),
        ({"type": "gpu.lost", "host": socket.gethostname()}, False),
        ({}, False),
    ],
)
async def test_a_request_for_this_host_or_for_all_is_ours(task: Task, fields: dict[str, str], *, ours: bool) -> None:
    assert GpuMemory(task).asks_us(_asked(**fields)) is ours
