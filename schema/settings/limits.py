"""The runbook's thresholds: how much work, how often to try again, what intake takes."""

from __future__ import annotations

from decimal import Decimal
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

    # the stuck guardian, and what a process does about work that hangs
    hang_grace_s: Annotated[
        float, Meta(gt=0, description="seconds interrupted work may go on before its process ends itself")
    ] = 20.0
    last_resort_s: Annotated[
        float, Meta(gt=0, description="seconds without any sign of work after which a stage is called again")
    ] = 1800.0

    # the gpu guardian; figures in MB are for a card of gpu_card_mb, a card of another size has the same shares
    gpu_card_mb: Annotated[int, Meta(ge=1, description="card that the two figures in MB below are meant for")] = 32768
    gpu_free_mb: Annotated[int, Meta(ge=1, description="free GPU memory below which memory is asked back")] = 4096
    gpu_memory_mb: Annotated[int, Meta(ge=1, description="used GPU memory above which no video is admitted")] = 30720
    gpu_utilization_warning_percent: Annotated[
        float, Meta(gt=0, le=100, description="GPU utilisation that is worth a notice")
    ] = 85.0
    gpu_utilization_critical_percent: Annotated[
        float, Meta(gt=0, le=100, description="GPU utilisation above which GPU jobs are throttled")
    ] = 95.0
    gpu_calm_s: Annotated[
        float, Meta(ge=0, description="seconds of normal figures before what was held back goes on")
    ] = 30.0
    gpu_jobs: Annotated[int, Meta(ge=1, description="GPU jobs at once on a host while they are throttled")] = 2

    # the vitals guardian: the runbook's table of key figures
    queue_depth_warning: Annotated[int, Meta(ge=1, description="queued videos that are worth a notice")] = 50
    queue_depth_critical: Annotated[int, Meta(ge=1, description="queued videos that are critical")] = 80
    processing_warning_s: Annotated[float, Meta(gt=0, description="average processing time that is worth a notice")] = (
        480.0
    )
    processing_critical_s: Annotated[float, Meta(gt=0, description="average processing time that is critical")] = 600.0
    error_rate_warning_percent: Annotated[
        float, Meta(gt=0, le=100, description="failed of ended videos that are worth a notice")
    ] = 5.0
    error_rate_critical_percent: Annotated[
        float, Meta(gt=0, le=100, description="failed of ended videos that are critical")
    ] = 10.0
    api_response_warning_s: Annotated[
        float, Meta(gt=0, description="response time of the gateway that is worth a notice")
    ] = 0.5
    api_response_critical_s: Annotated[
        float, Meta(gt=0, description="response time of the gateway that is critical")
    ] = 1.0
    oldest_event_warning_s: Annotated[
        float, Meta(gt=0, description="age of the oldest unended event that is worth a notice")
    ] = 900.0
    oldest_event_critical_s: Annotated[
        float, Meta(gt=0, description="age of the oldest unended event that is critical")
    ] = 1800.0
    figures_window_s: Annotated[float, Meta(gt=0, description="time that rates and averages look back")] = 3600.0
    figures_min_ended: Annotated[int, Meta(ge=1, description="ended videos below which there is no rate")] = 10

    # the integrity guardian
    audit_s: Annotated[float, Meta(gt=0, description="seconds between two looks for contradictions in the record")] = (
        30.0
    )
    full_audit_s: Annotated[float, Meta(gt=0, description="seconds between two looks that read every row there is")] = (
        600.0
    )
    film_check_s: Annotated[float, Meta(gt=0, description="seconds between two old films that are read again")] = 60.0
    idle_session_s: Annotated[
        float, Meta(gt=0, description="seconds a Postgres session of ours may be idle before it is closed")
    ] = 600.0

    # money
    video_budget_usd: Annotated[Decimal, Meta(description="most that one video may cost, in dollars")] = Decimal("3.00")
    day_budget_usd: Annotated[Decimal, Meta(description="most that all videos may cost in a day (UTC), in dollars")] = (
        Decimal("150.00")
    )
    video_warning_usd: Annotated[Decimal, Meta(description="cost of a video that is worth a notice, in dollars")] = (
        Decimal("2.50")
    )
    video_economy_usd: Annotated[
        Decimal, Meta(description="cost of a video from which it is made in economy mode, in dollars")
    ] = Decimal("2.80")
    day_call_usd: Annotated[
        Decimal, Meta(description="what is left of the day below which no call is expected to fit, in dollars")
    ] = Decimal("0.25")
    hour_budget_usd: Annotated[
        Decimal, Meta(description="cost of an hour from which all is made in economy mode, in dollars")
    ] = Decimal("25.00")
    burn_patience_s: Annotated[
        float, Meta(gt=0, description="seconds economy mode has to slow spending down before all is paused")
    ] = 600.0
    pexels_requests_per_hour: Annotated[int, Meta(ge=1, description="requests that Pexels allows in an hour")] = 200
    youtube_uploads_per_day: Annotated[int, Meta(ge=1, description="uploads that YouTube allows in a day")] = 100

    def __post_init__(self) -> None:
        """Refuses a budget that is no amount of money."""
        amounts = (self.video_budget_usd, self.day_budget_usd, self.video_warning_usd, self.video_economy_usd)
        for budget in (*amounts, self.day_call_usd, self.hour_budget_usd):
            if not budget.is_finite() or budget < 0:
                raise ValueError("Expected an amount of 0 or more, such as 3.00")

    def at_once(self, bundle: Bundle) -> int:
        """How many videos may be in hand in this mode."""
        return min(self.economy_max_concurrent, self.max_concurrent) if bundle.few_at_once else self.max_concurrent
