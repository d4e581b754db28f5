"""The operators' table of key figures as Prometheus knows it, and what an alert consists of.

Each figure is recorded under a name with its unit, its limits beside it. Limits are read from the metrics that the
guardians export, so that a setting moves its alert.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Severity = Literal["warning", "critical"]


class Figure(msgspec.Struct, frozen=True):
    """A row of the runbook's table as Prometheus knows it: recorded as `ytempire:NAME:UNIT`, its limits beside it."""

    name: str
    unit: str
    measured: str
    guardian: str
    #: As `ytempire_guardian_limit` names it.
    figure: str
    alert: str
    what: str
    action: str
    command: str
    #: What a limit is divided by to be of the same unit.
    per: int = 1
    bands: tuple[Severity, ...] = ("warning", "critical")
    #: At the limit it is already the worse of the two.
    from_limit: bool = False
    #: One value for each card.
    each: bool = False

    @property
    def recorded(self) -> str:
        """The metric that the rules record."""
        return f"ytempire:{self.name}:{self.unit}"


class Alert(msgspec.Struct, frozen=True):
    """A fault; `summary` and `description` may use the templates of Prometheus."""

    name: str
    severity: Severity
    expr: str
    summary: str
    description: str
    action: str
    command: str


def _vitals(figure: str, per: int = 1) -> str:
    divided = f" / {per}" if per != 1 else ""
    return f'max(ytempire_key_figure{{figure="{figure}"}}){divided}'


FIGURES: Final = (
    Figure(
        "queue_depth",
        "videos",
        _vitals("queue_depth"),
        "vitals",
        "queue_depth",
        alert="QueueDepth",
        what="{{ $value }} videos are queued",
        action="Scale workers: the same Procfile on another machine, or speed mode for a while",
        command="./ytempire mode speed",
    ),
    Figure(
        "processing_time",
        "seconds",
        _vitals("processing_time"),
        "vitals",
        "processing_time",
        alert="ProcessingTime",
        what="videos take {{ humanizeDuration $value }} on average",
        action="Investigate the bottleneck",
        command="./ytempire bottleneck",
    ),
    Figure(
        "video_cost",
        "dollars",
        'max(ytempire_cost_dollars{figure="dearest_video"})',
        "cost",
        "dearest_video",
        alert="CostPerVideo",
        what="a video in hand has cost ${{ $value }}",
        action="Identify the expensive operations; from the critical limit it goes on in economy mode by itself",
        command="./ytempire costs",
        from_limit=True,
    ),
    Figure(
        "gpu_utilization",
        "ratio",
        "max by (instance, card) (avg_over_time(ytempire_gpu_utilization_ratio[1m]))",
        "gpu",
        "ytempire_gpu_utilization_ratio",
        alert="GpuUtilization",
        what="card {{ $labels.card }} of {{ $labels.instance }} is {{ humanizePercentage $value }} in use",
        action="Queue throttling: the gpu guardian does it by itself; see who uses the card",
        command="nvidia-smi",
        each=True,
    ),
    Figure(
        "error_rate",
        "ratio",
        _vitals("error_rate", 100),
        "vitals",
        "error_rate",
        alert="ErrorRate",
        what="{{ humanizePercentage $value }} of the videos that ended have failed",
        action="Debug immediately: read the reasons",
        command="./ytempire videos --status failed",
        per=100,
    ),
    Figure(
        "api_response",
        "seconds",
        "histogram_quantile(0.99, sum by (le) (rate(ytempire_http_seconds_bucket[5m])))",
        "vitals",
        "api_response",
        alert="ApiResponse",
        what="one in a hundred answers of the gateway takes longer than {{ humanizeDuration $value }}",
        action="Check the database",
        command="curl -s http://localhost:8000/health/detailed | jq .",
    ),
    Figure(
        "disk_usage",
        "ratio",
        _vitals("disk_usage", 100),
        "vitals",
        "disk_usage",
        alert="DiskUsage",
        what="the disk of the data directory is {{ humanizePercentage $value }} full: no video is admitted",
        action="Clean up; the first run only shows what would go",
        command="./ytempire clean",
        per=100,
        bands=("critical",),
    ),
    Figure(
        "oldest_event",
        "seconds",
        _vitals("oldest_event"),
        "vitals",
        "oldest_event",
        alert="OldestEvent",
        what="an event has not been ended for {{ humanizeDuration $value }}",
        action="See what its group is doing, and what the stuck guardian said",
        command="./ytempire status --since 1h",
    ),
)


def alert_of(figure: Figure, severity: Severity) -> Alert:
    """What is said when a figure passes its limit."""
    above = ">=" if figure.from_limit else ">"
    match = " on () group_left ()" if figure.each else ""
    return Alert(
        figure.alert,
        severity,
        f"{figure.recorded} {above}{match} ytempire:{figure.name}:{severity}",
        summary=figure.what,
        description=f"The {severity} limit of the runbook's table of key figures is passed.",
        action=figure.action,
        command=figure.command,
    )
