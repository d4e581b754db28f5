"""The runbook's thresholds: how much work, how often to try again, what intake takes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from schema.modes import Bundle


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Thresholds with the runbook's figures as defaults."""

    max_concurrent: Annotated[int, Meta(ge=1, description="videos in hand at once")] = 7
    economy_max_concurrent: Annotated[int, Meta(ge=1, description="the same in economy mode")] = 3
    queue_capacity: Annotated[int, Meta(ge=1, description="videos that are queued; the rest waits")] = 100
    waiting_capacity: Annotated[int, Meta(ge=1, description="videos that may wait beyond the queue")] = 100_000
    max_attempts: Annotated[int, Meta(ge=1, description="attempts of a stage that fails in a passing way")] = 4
    max_crashes: Annotated[int, Meta(ge=1, description="attempts of a stage that die with their process")] = 5
    retry_min_s: Annotated[float, Meta(gt=0, description="first delay before a stage is tried again")] = 2.0
    retry_max_s: Annotated[float, Meta(gt=0, description="longest delay before a stage is tried again")] = 300.0
    topic_max_chars: Annotated[int, Meta(ge=1, description="longest topic")] = 300
    notes_max_bytes: Annotated[int, Meta(ge=1, description="largest notes")] = 200_000
    age_per_priority_s: Annotated[float, Meta(gt=0, description="waiting this long is worth one step of priority")] = (
        600.0
    )
    disk_usage_percent: Annotated[float, Meta(gt=0, le=100, description="no video is admitted above this")] = 80.0

    def at_once(self, bundle: Bundle) -> int:
        """How many videos may be in hand in this mode."""
        return min(self.economy_max_concurrent, self.max_concurrent) if bundle.few_at_once else self.max_concurrent
