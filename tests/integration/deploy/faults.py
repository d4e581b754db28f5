"""What each alert is tried with: series that are well, and those at and beyond the limit of one alert.

Written by hand from the runbook, not from the code that makes the rules.
"""

from __future__ import annotations

import msgspec

MIB = 2**20
#: More scrapes than any test looks at; one a minute.
_STEADY = "x130"


class Case(msgspec.Struct, frozen=True):
    """One alert: what brings it about, what is not yet enough, and the labels by which it is told apart."""

    alert: str
    severity: str
    wrong: dict[str, str]
    well: dict[str, str]
    #: The minute from which it is seen, where that takes time.
    seen: int = 0

    @property
    def name(self) -> str:
        """For the list of tests."""
        return f"{self.alert}-{self.severity}"


def steady(value: float) -> str:
    """The same at every scrape."""
    return f"{value:g}{_STEADY}"


def _figure(name: str) -> str:
    return f'ytempire_key_figure{{process="vitals",figure="{name}"}}'


def _limit(guardian: str, figure: str, level: str) -> str:
    return f'ytempire_guardian_limit{{process="{guardian}",guardian="{guardian}",figure="{figure}",level="{level}"}}'


def _up(process: str) -> str:
    return f'up{{job="ytempire",process="{process}",instance="{process}:1"}}'


def _looked(guardian: str) -> str:
    return (
        "ytempire_guardian_last_tick_timestamp_seconds"
        f'{{process="{guardian}",instance="{guardian}:1",guardian="{guardian}"}}'
    )


def _began(process: str) -> str:
    return f'process_start_time_seconds{{job="ytempire",process="{process}",instance="{process}:1"}}'


def _cost(figure: str) -> str:
    return f'ytempire_cost_dollars{{process="cost",figure="{figure}"}}'


def _memory(kind: str) -> str:
    return f'ytempire_gpu_memory_bytes{{process="gpu",instance="gpu:1",card="0",kind="{kind}"}}'


def _gate(state: str) -> str:
    return f'ytempire_gate{{process="dispatch",ytempire_gate="{state}"}}'


def _within(le: str) -> str:
    return f'ytempire_http_seconds_bucket{{process="gateway",route="/health",method="GET",status="200",le="{le}"}}'


_UTILIZATION = 'ytempire_gpu_utilization_ratio{process="gpu",instance="gpu:1",card="0"}'
_FOUND = 'ytempire_integrity_found{process="integrity",checks="files"}'
_OUT_OF_MEMORY = 'ytempire_render_fallbacks_total{process="render",instance="render:1",cause="out_of_memory"}'
_STOPPED = 'ytempire_admission_stopped{process="gpu",instance="gpu:1",cause="gpu_memory"}'
_QUEUED = 'ytempire_videos_queued{process="dispatch"}'
_ATTEMPTS = 'ytempire_stage_attempts_total{process="script",stage="script",outcome="done"}'
_CARDS = 'ytempire_gpu_cards{process="gpu",instance="gpu:1"}'
_DEAD = 'ytempire_dead_letters{process="integrity"}'
_STUCK = 'ytempire_stuck_attempts{process="stuck",cause="dead_lease"}'
_RISING = "0+60x130"  # seconds at a scrape a minute: as the clock goes

#: A factory in which all is well, with the runbook's limits.
WELL = {
    **{_up(name): steady(1) for name in ("script", "render", "dispatch", "gateway", "cost", "gpu", "vitals")},
    **{_looked(name): _RISING for name in ("cost", "gpu", "vitals")},
    **{_began(name): steady(0) for name in ("script", "cost", "gpu", "vitals")},
    _limit("vitals", "queue_depth", "warning"): steady(50),
    _limit("vitals", "queue_depth", "critical"): steady(80),
    _limit("vitals", "processing_time", "warning"): steady(480),
    _limit("vitals", "processing_time", "critical"): steady(600),
    _limit("vitals", "error_rate", "warning"): steady(5),
    _limit("vitals", "error_rate", "critical"): steady(10),
    _limit("vitals", "disk_usage", "critical"): steady(80),
    _limit("vitals", "api_response", "warning"): steady(0.5),
    _limit("vitals", "api_response", "critical"): steady(1),
    _limit("vitals", "oldest_event", "warning"): steady(900),
    _limit("vitals", "oldest_event", "critical"): steady(1800),
    _limit("gpu", "ytempire_gpu_utilization_ratio", "warning"): steady(0.85),
    _limit("gpu", "ytempire_gpu_utilization_ratio", "critical"): steady(0.95),
    _limit("cost", "dearest_video", "warning"): steady(2.5),
    _limit("cost", "dearest_video", "critical"): steady(2.8),
    _limit("cost", "video_budget", "critical"): steady(3),
    _limit("cost", "day", "critical"): steady(150),
    _limit("cost", "last_hour", "critical"): steady(25),
    **{_figure(name): steady(1) for name in ("queue_depth", "processing_time", "error_rate", "disk_usage")},
    _figure("oldest_event"): steady(1),
    **{_cost(name): steady(1) for name in ("dearest_video", "day", "last_hour")},
    **{_within(le): "0+60x130" for le in ("0.25", "0.5", "1", "2.5", "+Inf")},
    _UTILIZATION: steady(0.5),
    _memory("free"): steady(16384 * MIB),
    _memory("used"): steady(16384 * MIB),
    _memory("limit_free"): steady(4096 * MIB),
    _memory("limit_used"): steady(30720 * MIB),
    _CARDS: steady(1),
    _FOUND: steady(0),
    _OUT_OF_MEMORY: steady(0),
    _STOPPED: steady(0),
    _QUEUED: steady(3),
    _ATTEMPTS: "0+1x130",
    **{_gate(state): steady(state == "open") for state in ("open", "paused", "halted", "stopping")},
    _DEAD: steady(7),
    _STUCK: steady(0),
}


def _passed(alert: str, severity: str, series: str, *, wrong: float, well: float) -> Case:
    return Case(alert, severity, {series: steady(wrong)}, {series: steady(well)})


def _slow(severity: str, slower_than: str) -> Case:
    """More than one in a hundred answers is slower; well: one in two hundred is."""
    les = ("0.25", "0.5", "1", "2.5")
    below = les[: les.index(slower_than) + 1]
    return Case(
        "ApiResponse",
        severity,
        {_within(le): "0+58x130" for le in below},
        {_within(le): "0+59.7x130" for le in below},
        seen=5,
    )


def _downs(*processes: str) -> dict[str, str]:
    return {_up(name): steady(0) for name in processes}


CASES = (
    # the runbook's table of key figures
    _passed("QueueDepth", "warning", _figure("queue_depth"), wrong=51, well=50),
    _passed("QueueDepth", "critical", _figure("queue_depth"), wrong=81, well=80),
    _passed("ProcessingTime", "warning", _figure("processing_time"), wrong=481, well=480),
    _passed("ProcessingTime", "critical", _figure("processing_time"), wrong=601, well=600),
    _passed("CostPerVideo", "warning", _cost("dearest_video"), wrong=2.5, well=2.49),
    _passed("CostPerVideo", "critical", _cost("dearest_video"), wrong=2.8, well=2.79),
    _passed("GpuUtilization", "warning", _UTILIZATION, wrong=0.86, well=0.85),
    _passed("GpuUtilization", "critical", _UTILIZATION, wrong=0.96, well=0.95),
    _passed("ErrorRate", "warning", _figure("error_rate"), wrong=5.1, well=5),
    _passed("ErrorRate", "critical", _figure("error_rate"), wrong=10.1, well=10),
    _slow("warning", "0.5"),
    _slow("critical", "1"),
    _passed("DiskUsage", "critical", _figure("disk_usage"), wrong=80.1, well=80),
    _passed("OldestEvent", "warning", _figure("oldest_event"), wrong=901, well=900),
    _passed("OldestEvent", "critical", _figure("oldest_event"), wrong=1801, well=1800),
    # its emergencies
    _passed("CostOverrun", "critical", _cost("dearest_video"), wrong=3.01, well=3),
    Case(
        "PipelineFailure",
        "critical",
        _downs("script", "render", "dispatch", "gateway", "cost", "gpu", "vitals"),
        _downs("script", "render", "dispatch", "gateway", "cost", "gpu"),
    ),
    _passed("DataCorruption", "critical", _FOUND, wrong=1, well=0),
    Case("GpuOutOfMemory", "critical", {_OUT_OF_MEMORY: "0+1x130"}, {_OUT_OF_MEMORY: steady(5)}, seen=5),
    _passed("GpuOutOfMemory", "critical", _STOPPED, wrong=1, well=0),
    Case(
        "QueueNotProcessing",
        "critical",
        {_ATTEMPTS: steady(5)},
        {_ATTEMPTS: steady(5), _gate("open"): steady(0), _gate("paused"): steady(1)},
        seen=15,
    ),
    Case(
        "QueueNotProcessing", "critical", {_ATTEMPTS: "_x130"}, {_ATTEMPTS: "_x130", _QUEUED: "0x13 1x5 0x110"}, seen=15
    ),
    # money
    _passed("DayBudget", "warning", _cost("day"), wrong=120, well=119.9),
    _passed("DayBudget", "critical", _cost("day"), wrong=142.5, well=142.4),
    _passed("HourBudget", "warning", _cost("last_hour"), wrong=20, well=19.9),
    _passed("HourBudget", "critical", _cost("last_hour"), wrong=25, well=24.9),
    # cards
    _passed("GpuMemory", "warning", _memory("free"), wrong=4095 * MIB, well=4096 * MIB),
    _passed("GpuMemory", "critical", _memory("used"), wrong=30721 * MIB, well=30720 * MIB),
    Case("GpuLost", "warning", {_CARDS: "2x10 1x120"}, {_CARDS: "1x10 2x120"}, seen=15),
    # processes
    Case("GuardianSilent", "critical", {_looked("cost"): steady(0)}, {_looked("cost"): _RISING}, seen=5),
    Case("GuardianSilent", "critical", _downs("cost"), _downs("script")),
    Case(
        "GuardianSilent",
        "critical",
        {_looked("cost"): "_x130"},
        {_looked("cost"): "_x130", _began("cost"): _RISING},
        seen=5,
    ),
    Case("ProcessDown", "critical", _downs("gateway"), _downs("gpu")),
    Case(
        "ProcessRestarts", "warning", {_began("script"): "0+1x130"}, {_began("script"): "0x9 1x9 2x9 3x9 4x100"}, seen=5
    ),
    # work
    Case("Held", "warning", {_gate("paused"): steady(1)}, {_gate("stopping"): steady(1)}),
    Case("StuckAttempts", "warning", {_STUCK: steady(1)}, {_STUCK: "0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0x100"}),
    Case("DeadLetters", "warning", {_DEAD: "7 8x129"}, {_DEAD: steady(8)}, seen=5),
)
