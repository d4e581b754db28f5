"""The limit: redis-py with hiredis in one loop, no leases, no retries, no concurrency, a batch a round trip."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import redis

from tests.bench import probe

STREAM, GROUP = "noop", "bare"
#: Entries read, and acknowledged, at once.
BATCH = 100

client: Any = redis.Redis(port=probe.PORT)
decode = msgspec.json.Decoder().decode


def make_group() -> None:
    """From the first entry on; one that exists stays."""
    with contextlib.suppress(redis.ResponseError):
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)


def work() -> None:
    """Reads, notes, acknowledges and deletes."""
    make_group()
    while True:
        for _, entries in client.xreadgroup(GROUP, "only", {STREAM: ">"}, count=BATCH, block=1000) or ():
            for _, fields in entries:
                probe.began(decode(fields[b"data"])["job"])
            ids = [entry_id for entry_id, _ in entries]
            pipeline = client.pipeline(transaction=False)
            pipeline.xack(STREAM, GROUP, *ids)
            pipeline.xdel(STREAM, *ids)
            pipeline.execute()


def produce(jobs: int, rate: float) -> None:
    """In pipelines, or one by one at a steady rate."""
    make_group()
    batch = 1 if rate else BATCH
    pipeline = client.pipeline(transaction=False)
    for job in probe.paced(jobs, rate):
        probe.sent(job)
        pipeline.xadd(STREAM, {"type": "noop", "data": msgspec.json.encode(probe.event(job))})
        if (job + 1) % batch == 0 or job + 1 == jobs:
            pipeline.execute()


def send_victim() -> None:
    """There is none: it would never come back."""
    raise SystemExit("the bare loop has no long job")


if __name__ == "__main__":
    probe.main(produce, send_victim, work)
