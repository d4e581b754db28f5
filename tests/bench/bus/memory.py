"""What a server keeps of jobs that are long done, once they are older than the retention window."""

from __future__ import annotations

import time
from typing import Any, Final

from streams.transport.over_redis import RedisTransport
from streams.transport.port import Subscription
from tests.bench.bus.trial import PATIENCE_S, Trial, TrialError
from tests.bench.payload import event
from tests.bench.waiting import wait

#: As in tests/bench/peers/ours.
_SHOTS: Final = Subscription(group="shot", streams=("stream:shots",), lane="lane:shot")
_TAKES: Final = "stream:takes"
_BATCH: Final = 1000
#: Slower than any worker here.
_SLOWEST_JOBS_PER_S: Final = 1000


def left_bytes(trial: Trial, jobs: int) -> int:
    """Memory above the empty server's after so many jobs, settled and trimmed with a window of no length.

    Raises TrialError where the jobs do not come to their end.
    """
    empty_bytes = _used_bytes(trial)
    _send(trial.client, jobs)
    with trial.worker():
        trial.wait(jobs, patience_s=PATIENCE_S + jobs / _SLOWEST_JOBS_PER_S)
        _wait_until_settled(trial)
    url = f"redis://127.0.0.1:{trial.client.connection_pool.connection_kwargs['port']}/0"
    janitor = RedisTransport(url, process="janitor", lease_s=1.0)
    try:
        janitor.trim((_SHOTS,), (_TAKES,), retention_s=0.0)
    finally:
        janitor.close()
    return _used_bytes(trial) - empty_bytes


def _send(client: Any, jobs: int) -> None:  # noqa: ANN401 - redis-py's replies have no types worth having
    for start in range(0, jobs, _BATCH):
        pipeline = client.pipeline(transaction=False)
        for job in range(start, min(start + _BATCH, jobs)):
            pipeline.xadd(_SHOTS.streams[0], event(job))
        pipeline.execute()


def _wait_until_settled(trial: Trial) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while trial.client.xpending(_SHOTS.streams[0], _SHOTS.group)["pending"]:
        if time.monotonic() > until_s:
            raise TrialError(trial.peer, f"jobs were still pending {PATIENCE_S:g} s after the last began")
        wait(0.05)


def _used_bytes(trial: Trial) -> int:
    return int(trial.client.info("memory")["used_memory"])
