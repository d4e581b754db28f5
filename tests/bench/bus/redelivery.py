"""Seconds until a job begins again after its whole worker was killed in the middle of it.

A second worker passes for one of another machine, which cannot see that the first one's process is gone: where nothing
but silence tells, redelivery takes longest.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Sequence
from typing import Final

from tests.bench.bus.trial import Trial, kill
from tests.bench.waiting import wait

#: Into the job, so that it is not at its very beginning; a second worker has started by then.
_MIDDLE_S: Final = 4.0
#: Between two kills: who has several trials is killed at several moments of a lease.
_BETWEEN_S: Final = 0.85
_LOOK_S: Final = 0.02


def redelivery_s(trials: Sequence[Trial], limit_s: float, *, second_worker: bool) -> list[float | None]:
    """One for each trial, all beside each other; None: not within `limit_s`.

    A second worker is there before the kill; else the worker starts again at once, as under a supervisor.
    Raises TrialError where a job does not even begin.
    """
    with contextlib.ExitStack() as stack:
        workers: list[subprocess.Popen[bytes]] = []
        for trial in trials:
            trial.send_victim()
            workers.append(stack.enter_context(trial.worker()))
            trial.wait_for_victim()
            if second_worker:
                stack.enter_context(trial.worker(elsewhere=True))
        wait(_MIDDLE_S)
        killed_s: list[float] = []
        for trial, worker in zip(trials, workers, strict=True):
            killed_s.append(time.monotonic())
            kill(worker)
            if not second_worker:
                stack.enter_context(trial.worker())
            wait(_BETWEEN_S)
        until_s = time.monotonic() + limit_s
        while time.monotonic() < until_s and any(len(trial.victims_began_s()) == 1 for trial in trials):
            wait(_LOOK_S)
        return [_second_start_s(trial, after_s) for trial, after_s in zip(trials, killed_s, strict=True)]


def _second_start_s(trial: Trial, killed_s: float) -> float | None:
    """None, too, where the second start came before the kill: then it was no redelivery."""
    began_s = trial.victims_began_s()
    return began_s[1] - killed_s if len(began_s) > 1 and began_s[1] > killed_s else None
