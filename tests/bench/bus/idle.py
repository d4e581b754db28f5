"""Commands a second that a worker without work sends to its server, those inside scripts included."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from tests.bench.bus.trial import Trial
from tests.bench.waiting import wait


def commands_per_s(trials: Sequence[Trial], window_s: float) -> list[float]:
    """One for each trial, all at once, after each worker has done some jobs; raises TrialError."""
    with contextlib.ExitStack() as stack:
        for trial in trials:
            stack.enter_context(trial.worker())
        for trial in trials:
            trial.warm()
        before = [_commands(trial) for trial in trials]
        wait(window_s)
        # our own second look is one of them
        return [(_commands(trial) - first - 1) / window_s for trial, first in zip(trials, before, strict=True)]


def _commands(trial: Trial) -> int:
    return int(trial.client.info("stats")["total_commands_processed"])
