"""How often a job is started that takes many times longer than its lease, with a second worker and traffic."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from tests.bench.bus.trial import Trial
from tests.bench.waiting import wait

#: Ordinary jobs a second: some brokers look at what is pending only when something new comes.
_TRAFFIC_RATE = 2


def starts(trials: Sequence[Trial], job_s: float, lease_s: float) -> list[int]:
    """One for each trial, all at once; the trials' environment says how long the job is and how long the lease.

    Raises TrialError where it does not even begin.
    """
    with contextlib.ExitStack() as stack:
        for trial in trials:
            trial.send_victim()
            stack.enter_context(trial.worker())
            stack.enter_context(trial.worker())
            stack.enter_context(trial.producing(min(trial.jobs, _TRAFFIC_RATE * round(job_s)), _TRAFFIC_RATE))
        for trial in trials:
            trial.wait_for_victim()
        until_s = time.monotonic() + job_s + 2 * lease_s
        while time.monotonic() < until_s:
            wait(0.1)
        return [len(trial.victims_began_s()) for trial in trials]
