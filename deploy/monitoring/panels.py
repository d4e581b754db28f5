"""What Grafana shows: three pages of panels, each a question to Prometheus with its unit.

`dashboards` writes them as Grafana reads them. A figure's limits are questions too, so that a setting moves its line.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Kind = Literal["timeseries", "stat", "state-timeline", "table"]


class Query(msgspec.Struct, frozen=True):
    """A question, and how its answers are named."""

    expr: str
    legend: str


class Panel(msgspec.Struct, frozen=True):
    """A panel; `unit` is Grafana's word for it, `width` of 24."""

    title: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    unit: str = "short"
    width: int = 8
    description: str = ""


class Page(msgspec.Struct, frozen=True):
    """A dashboard."""

    uid: str
    title: str
    panels: tuple[Panel, ...]


def _beside(figure: str, unit: str, *bands: str) -> tuple[Query, ...]:
    """A figure of the table and its limits."""
    name = figure.replace("_", " ")
    limits = (Query(f"ytempire:{figure}:{band}", band) for band in bands or ("warning", "critical"))
    return (Query(f"ytempire:{figure}:{unit}", name), *limits)


def _each(expr: str, *labels: str) -> tuple[Query, ...]:
    return (Query(expr, " ".join(f"{{{{{label}}}}}" for label in labels)),)


_FIRING: Final = Panel(
    "Alerts",
    _each('max by (alertname, severity) (ALERTS{alertstate="firing",alertname!="DeadMansSwitch"})', "alertname"),
    "table",
    width=24,
    description="What fires now; what to do is in its annotations.",
)

FACTORY: Final = Page(
    "ytempire-factory",
    "YTEMPIRE: factory",
    (
        _FIRING,
        Panel("Queue depth", _beside("queue_depth", "videos")),
        Panel("Processing time", _beside("processing_time", "seconds"), unit="s"),
        Panel("Error rate", _beside("error_rate", "ratio"), unit="percentunit"),
        Panel(
            "Videos",
            (
                Query("max(ytempire_videos_in_hand)", "in hand"),
                Query("max(ytempire_videos_queued)", "queued"),
                Query("max(ytempire_videos_waiting)", "waiting beyond the queue"),
            ),
            width=12,
        ),
        Panel(
            "Gate",
            _each('max by (process, ytempire_gate) (ytempire_gate{process="dispatch"})', "ytempire_gate"),
            "state-timeline",
            width=12,
            description="1 for the state that the gate is in.",
        ),
        Panel(
            "Attempts that ended",
            _each("sum by (stage, outcome) (rate(ytempire_stage_attempts_total[5m]))", "stage", "outcome"),
            unit="ops",
        ),
        Panel(
            "Time of a stage, 95 of 100",
            _each("histogram_quantile(0.95, sum by (stage, le) (rate(ytempire_stage_seconds_bucket[30m])))", "stage"),
            unit="s",
        ),
        Panel("Retries", _each("sum by (stage) (rate(ytempire_retries_total[5m]))", "stage"), unit="ops"),
        Panel(
            "Events not yet given to a group",
            _each("max by (stream, group) (ytempire_stream_depth)", "stream", "group"),
        ),
        Panel(
            "Events given and not ended", _each("max by (stream, group) (ytempire_stream_pending)", "stream", "group")
        ),
        Panel(
            "Age of the oldest of them",
            (
                *_each("max by (stream, group) (ytempire_stream_oldest_pending_seconds)", "stream", "group"),
                *_beside("oldest_event", "seconds"),
            ),
            unit="s",
        ),
        Panel("Delayed", _each("max by (group) (ytempire_delayed)", "group")),
        Panel("Dead letters", (Query("max(ytempire_dead_letters)", "kept"),)),
        Panel(
            "Events at the door",
            (
                Query("sum(rate(ytempire_events_accepted_total[5m]))", "accepted"),
                Query("sum(rate(ytempire_events_rejected_total[5m]))", "rejected"),
            ),
            unit="ops",
        ),
        Panel(
            "Since a guardian last looked",
            _each("max by (process, instance) (time() - ytempire_guardian_last_tick_timestamp_seconds)", "process"),
            unit="s",
        ),
        Panel(
            "What guardians did",
            _each("sum by (guardian, type) (increase(ytempire_guardian_actions_total[15m]))", "guardian", "type"),
        ),
        Panel(
            "Stuck and contradictory",
            (
                *_each("sum by (cause) (ytempire_stuck_attempts)", "cause"),
                *_each("sum by (checks) (ytempire_integrity_found)", "checks"),
            ),
        ),
    ),
)

MONEY: Final = Page(
    "ytempire-money",
    "YTEMPIRE: money",
    (
        Panel("Today", (Query('max(ytempire_cost_dollars{figure="day"})', "today"),), "stat", unit="currencyUSD"),
        Panel(
            "Last hour", (Query('max(ytempire_cost_dollars{figure="last_hour"})', "hour"),), "stat", unit="currencyUSD"
        ),
        Panel(
            "Dearest video in hand",
            (Query('max(ytempire_cost_dollars{figure="dearest_video"})', "video"),),
            "stat",
            unit="currencyUSD",
        ),
        Panel(
            "Day against its budget (UTC)",
            (
                Query('max(ytempire_cost_dollars{figure="day"})', "spent or set aside"),
                Query('max(ytempire_guardian_limit{guardian="cost",figure="day"})', "budget"),
            ),
            unit="currencyUSD",
            width=12,
        ),
        Panel(
            "Hour against its limit",
            (
                Query('max(ytempire_cost_dollars{figure="last_hour"})', "spent"),
                Query('max(ytempire_guardian_limit{guardian="cost",figure="last_hour"})', "limit"),
            ),
            unit="currencyUSD",
            width=12,
        ),
        Panel(
            "Dearest video against its bands",
            (
                *_beside("video_cost", "dollars"),
                Query('max(ytempire_guardian_limit{guardian="cost",figure="video_budget"})', "never above"),
            ),
            unit="currencyUSD",
            width=12,
        ),
        Panel(
            "What the cost guardian did",
            _each('sum by (type) (increase(ytempire_guardian_actions_total{guardian="cost"}[15m]))', "type"),
            width=12,
        ),
    ),
)

MACHINE: Final = Page(
    "ytempire-machine",
    "YTEMPIRE: machine",
    (
        Panel("Processes that answer", _each('up{job="ytempire"}', "process"), "state-timeline", width=12),
        Panel("Disk of the data directory", _beside("disk_usage", "ratio", "critical"), unit="percentunit", width=12),
        Panel("CPU", _each("rate(process_cpu_seconds_total[1m])", "process"), description="1 is one core."),
        Panel("Memory", _each("process_resident_memory_bytes", "process"), unit="bytes"),
        Panel("Open files", _each("process_open_fds", "process")),
        Panel("GPU utilisation", _beside("gpu_utilization", "ratio"), unit="percentunit"),
        Panel("GPU memory", _each("ytempire_gpu_memory_bytes", "instance", "card", "kind"), unit="bytes"),
        Panel("GPU memory of a process", _each("ytempire_gpu_process_bytes", "instance", "card", "pid"), unit="bytes"),
        Panel("GPU temperature", _each("ytempire_gpu_temperature_celsius", "instance", "card"), unit="celsius"),
        Panel(
            "Encoder sessions and GPU jobs",
            (
                *_each("ytempire_gpu_encoder_sessions", "instance", "card"),
                Query("max by (host) (ytempire_gpu_jobs_limit)", "jobs allowed on {{host}}"),
                Query("sum by (cause) (ytempire_admission_stopped)", "admission stopped: {{cause}}"),
            ),
        ),
        Panel(
            "Films by what made them",
            (
                *_each("sum by (backend, encoder) (increase(ytempire_renders_total[1h]))", "backend", "encoder"),
                *_each("sum by (cause) (increase(ytempire_render_fallbacks_total[1h]))", "cause"),
            ),
        ),
        Panel(
            "API response, 99 of 100",
            (
                *_beside("api_response", "seconds"),
                *_each(
                    "histogram_quantile(0.99, sum by (route, le) (rate(ytempire_http_seconds_bucket[5m])))", "route"
                ),
            ),
            unit="s",
            width=12,
        ),
        Panel(
            "Requests",
            _each("sum by (route, status) (rate(ytempire_http_seconds_count[5m]))", "route", "status"),
            unit="reqps",
            width=12,
        ),
        Panel("Acknowledged", _each("sum by (outcome) (rate(ytempire_settles_total[5m]))", "outcome"), unit="ops"),
        Panel(
            "Delivered again, lost to others",
            (
                Query("sum by (group) (increase(ytempire_redelivered_total[15m]))", "again: {{group}}"),
                Query("sum by (group) (increase(ytempire_leases_lost_total[15m]))", "lost: {{group}}"),
            ),
        ),
        Panel(
            "Made up for",
            (
                Query("sum(increase(ytempire_facts_republished_total[15m]))", "facts published again"),
                Query("sum(increase(ytempire_entries_trimmed_total[15m]))", "entries trimmed"),
            ),
        ),
    ),
)

PAGES: Final = (FACTORY, MONEY, MACHINE)
