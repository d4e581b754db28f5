from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from actors.task import Task
from schema.documents import Script
from schema.record.videos import Videos
from schema.telemetry import traces
from tests.integration.actors.by_hand import LIMITS, OUTPUT, Stage
from tests.integration.money.shop import Order, Shop, Voice
from tests.integration.processes import Processes
from tests.integration.record.conftest import admitted, execute, value


@pytest.fixture
def sent() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    assert traces.begin("test", exporter=exporter)
    yield exporter
    traces.end()


async def test_an_attempt_is_a_span_of_its_videos_trace_and_a_providers_call_a_span_below_it(
    processes: Processes, sent: InMemorySpanExporter, tmp_path: Path
) -> None:
    process = await processes("script", limits=LIMITS)
    video = await admitted(Videos(process.postgres))
    await execute(process.postgres, "UPDATE video_queue SET traceparent = $1", traces.new_traceparent())
    shop = Shop(process.postgres, tmp_path)

    async def work(task: Task) -> Script:
        buy = shop.purchases.buyer(video, "script", task.claim.attempt, checkpoint=task.checkpoint)
        await buy(Voice(), Order(), shop.out())
        return OUTPUT

    await Stage(process, work)(video)
    call, stage = sent.get_finished_spans()
    assert (call.name, stage.name) == ("call elevenlabs", "stage script")
    assert call.parent == stage.context
    trace = str(await value(process.postgres, "SELECT traceparent FROM video_queue")).split("-")[1]
    assert f"{stage.context.trace_id:032x}" == trace
    assert stage.attributes == {
        "ytempire.video": video,
        "ytempire.stage": "script",
        "ytempire.attempt": 1,
        "ytempire.outcome": "done",
    }
