"""A wiped Redis: how long until all that the record owes is published again, and whether any of it counts twice.

A factory without stages, so that what was published stays to be looked at, with two integrity guardians that rebuild at
once. Then each event is said once more, the stages come, and what they commit is counted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import redis

from deploy.launch import privileges
from deploy.launch.ports import free_ports
from schema import flow
from schema.settings.limits import Limits
from streams import names
from tests.bench.waiting import wait
from tests.factory.running import Factory, factory

_PROCFILE: Final = Path(__file__).with_name("Procfile.rebuild")
#: Twice a lease and some ticks of a guardian: whoever would publish again has done so by then.
_QUIET_S: Final = 12.0

_FILL = """
INSERT INTO video_queue (id, key, topic, brief)
SELECT 'v' || n, 'v' || n, 't', '{"topic": "t", "notes": "n"}' FROM generate_series(1, $1::integer) AS n RETURNING 1"""

_COMMITS = """
SELECT count(*) FILTER (WHERE outcome = 'done'), count(*) FROM stage_attempts WHERE video_id = ANY($1)"""


class Rebuilt(msgspec.Struct, frozen=True):
    """After the wipe."""

    #: Until the last event was published again, and until both keys of the queue were as before.
    last_event_s: float
    keys_s: float
    #: Events that were published again, for so many videos.
    events: int
    videos: int
    #: Stages of these videos that were begun, or committed, more than once, or not at all.
    doubled: int


def rebuilding(folder: Path, waiting: int) -> Rebuilt:
    """So many wait, the queue and the hands are full; FLUSHALL."""
    limits = Limits()
    capacity, in_hand = limits.queue_capacity, limits.max_concurrent
    with factory(folder, procfile=_PROCFILE) as running, redis.Redis.from_url(running.redis_url) as client:
        running.rows(_FILL, waiting + capacity + in_hand)
        full = {"waiting": waiting, "queued": capacity, "processing": in_hand}
        running.until(lambda: running.statuses() == full)
        running.until(lambda: client.xlen(flow.ADMITTED_STREAM) == in_hand)
        running.until(lambda: _keys(client) == (capacity, in_hand))
        began_ms = time.time() * 1000
        client.flushall()
        running.until(lambda: len(_published(client)) == in_hand, within_s=_QUIET_S)
        running.until(lambda: _keys(client) == (capacity, in_hand), within_s=_QUIET_S)
        keys_s = time.time() - began_ms / 1000
        wait(_QUIET_S)
        entries = client.xrange(flow.ADMITTED_STREAM)
        last_ms = int(entries[-1][0].decode().partition("-")[0])
        videos = sorted(_published(client))
        for _, fields in entries:  # whatever those two did: each event is there twice at least
            client.xadd(flow.ADMITTED_STREAM, fields)
        return Rebuilt((last_ms - began_ms) / 1000, keys_s, len(entries), in_hand, _doubled(running, videos))


def _published(client: Any) -> set[str]:  # noqa: ANN401 - redis-py's replies have no types worth having
    return {fields[b"video"].decode() for _, fields in client.xrange(flow.ADMITTED_STREAM)}


def _keys(client: Any) -> tuple[int, int]:  # noqa: ANN401 - likewise
    return int(client.zcard(names.QUEUE)), int(client.scard(names.PROCESSING))


def _doubled(running: Factory, videos: list[str]) -> int:
    with _stages(running):
        running.until(
            lambda: running.rows(
                "SELECT 1 FROM video_queue WHERE id = ANY($1) AND status = 'completed' HAVING count(*) = $2",
                videos,
                len(videos),
            )
        )
    ((done, begun),) = running.rows(_COMMITS, videos)
    expected = len(videos) * len(flow.STAGES)
    return abs(int(str(done)) - expected) + abs(int(str(begun)) - expected)


@contextmanager
def _stages(running: Factory) -> Iterator[None]:
    """Stubs of all stages, beside the factory."""
    first, parent_pid = free_ports(len(flow.STAGES)), os.getpid()
    servers = {
        "REDIS_URL": running.redis_url,
        "DATABASE_URL": running.database_url,
        "YTEMPIRE_DATA_DIR": str(running.folder),
    }
    started = [
        subprocess.Popen(
            (sys.executable, "-m", "tests.factory.stub_stage", stage.name),
            env={**running.environ, **servers, "YTEMPIRE_METRICS_PORT": str(first + number)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: privileges.die_with_parent(signal.SIGKILL, parent_pid),  # noqa: PLW1509 - a system call
        )
        for number, stage in enumerate(flow.STAGES)
    ]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
