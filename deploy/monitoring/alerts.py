"""What is worth an alert: each fault once, as a question to Prometheus, with what to do about it.

The four levels of each are made by `rules`. A figure that is not known raises no alert: what would have measured it is
an alert itself, and nothing here tells that Prometheus is gone; the dead man's switch does.
"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.figures import FIGURES, Alert, Severity, alert_of


def _limit(guardian: str, figure: str, level: str) -> str:
    return f'max(ytempire_guardian_limit{{guardian="{guardian}",figure="{figure}",level="{level}"}})'


_OPEN: Final = 'ytempire_gate{process="dispatch",ytempire_gate="open"}'


def _emergencies() -> tuple[Alert, ...]:
    """The runbook's chapter of this name, and what comes close to it."""
    return (
        Alert(
            "CostOverrun",
            "critical",
            f'max(ytempire_cost_dollars{{figure="dearest_video"}}) > {_limit("cost", "video_budget", "critical")}',
            summary="EMERGENCY: a video has cost ${{ $value }}, more than its budget",
            description="Only a bill above its price, or a hand at psql, can bring this about. All is halted for it.",
            action="Identify the expensive calls and correct the price table, then resume",
            command="./ytempire costs",
        ),
        Alert(
            "PipelineFailure",
            "critical",
            'max(up{job="ytempire"}) == 0 or absent(up{job="ytempire"})',
            summary="EMERGENCY: no process of the factory answers",
            description="Nothing is made. No accepted video is lost by it, nor by starting again.",
            action="Start it; on a bare machine, or where that does not help: ./ytempire recover",
            command="./ytempire up",
        ),
        Alert(
            "DataCorruption",
            "critical",
            "sum by (checks) (ytempire_integrity_found) > 0",
            summary="EMERGENCY: {{ $value }} contradictions in the record ({{ $labels.checks }})",
            description="The integrity guardian mends what is safe to mend; this is what it leaves to a person.",
            action="Pause, back up, see what is contradicted and correct it by hand",
            command="./ytempire pause --reason corruption",
        ),
        Alert(
            "GpuOutOfMemory",
            "critical",
            'sum by (instance) (increase(ytempire_render_fallbacks_total{cause="out_of_memory"}[15m])) > 0\n'
            'or sum by (instance) (ytempire_admission_stopped{cause="gpu_memory"}) > 0',
            summary="EMERGENCY: a card behind {{ $labels.instance }} has no memory left",
            description="Films are made on the CPU meanwhile, or no video is admitted; renders are asked for memory.",
            action="See who holds the memory; ask our render processes for theirs once more",
            command="redis-cli XADD stream:control '*' type release_gpu",
        ),
        Alert(
            "QueueNotProcessing",
            "critical",
            "max(min_over_time(ytempire_videos_queued[15m])) > 0\n"
            "and on () (sum(increase(ytempire_stage_attempts_total[15m])) or vector(0)) == 0\n"
            f"and on () max(min_over_time({_OPEN}[15m])) == 1\n"
            # so that nobody is called when Prometheus has only just begun to look
            f"and on () max({_OPEN} offset 15m) == 1",
            summary="{{ $value }} videos are queued, and for 15 minutes no attempt of a stage has ended",
            description="The gate is open, so something should be going on.",
            action="See what runs and what is in the way; starting what is dead again interrupts nothing healthy",
            command="./ytempire status",
        ),
    )


#: The share of a budget from which it is said.
_DAY: Final[tuple[tuple[Severity, float], ...]] = (("warning", 0.8), ("critical", 0.95))
_HOUR: Final[tuple[tuple[Severity, float], ...]] = (("warning", 0.8), ("critical", 1))


def _money() -> tuple[Alert, ...]:
    day = f'max(ytempire_cost_dollars{{figure="day"}}) / {_limit("cost", "day", "critical")}'
    hour = f'max(ytempire_cost_dollars{{figure="last_hour"}}) / {_limit("cost", "last_hour", "critical")}'
    return (
        *(
            Alert(
                "DayBudget",
                severity,
                f"{day} >= {share}",
                summary="{{ humanizePercentage $value }} of today's budget are spent or set aside",
                description="Where no call fits any more all is halted until midnight (UTC), so that no video fails.",
                action="Use economy mode, or raise YTEMPIRE_DAY_BUDGET_USD",
                command="./ytempire mode economy",
            )
            for severity, share in _DAY
        ),
        *(
            Alert(
                "HourBudget",
                severity,
                f"{hour} >= {share}",
                summary="the last hour has cost {{ humanizePercentage $value }} of what an hour may",
                description="From its limit all is made in economy mode; where that does not help, all is paused.",
                action="Identify the expensive operations",
                command="./ytempire costs",
            )
            for severity, share in _HOUR
        ),
    )


def _cards() -> tuple[Alert, ...]:
    return (
        Alert(
            "GpuMemory",
            "warning",
            'ytempire_gpu_memory_bytes{kind="free"} < ignoring (kind) ytempire_gpu_memory_bytes{kind="limit_free"}',
            summary="card {{ $labels.card }} of {{ $labels.instance }} has {{ humanize1024 $value }}B free",
            description="Memory is asked back from the render processes, and GPU jobs are throttled.",
            action="See who holds the memory",
            command="nvidia-smi --query-compute-apps=pid,used_memory --format=csv",
        ),
        Alert(
            "GpuMemory",
            "critical",
            'ytempire_gpu_memory_bytes{kind="used"} > ignoring (kind) ytempire_gpu_memory_bytes{kind="limit_used"}',
            summary="card {{ $labels.card }} of {{ $labels.instance }} has {{ humanize1024 $value }}B in use",
            description="No video is admitted until it is less.",
            action="See who holds the memory",
            command="nvidia-smi --query-compute-apps=pid,used_memory --format=csv",
        ),
        Alert(
            "GpuLost",
            "warning",
            "ytempire_gpu_cards < max_over_time(ytempire_gpu_cards[2h])",
            summary="a card behind {{ $labels.instance }} does not answer any more: {{ $value }} left",
            description="Films are rendered on the CPU meanwhile.",
            action="Look for Xid errors in the kernel's log",
            command="./ytempire doctor --gpu",
        ),
    )


#: Seconds without a look after which a guardian counts as silent; it looks every 2.
_SILENT_S: Final = 60


def _processes(guardians: tuple[str, ...]) -> tuple[Alert, ...]:
    who = f'job="ytempire",process=~"{"|".join(guardians)}"'
    looked = "ytempire_guardian_last_tick_timestamp_seconds"
    return (
        Alert(
            "GuardianSilent",
            "critical",
            f"max by (process, instance) (time() - {looked}) > {_SILENT_S}\n"
            f"or max by (process, instance) (up{{{who}}} == 0)\n"
            f"or max by (process, instance) (time() - process_start_time_seconds{{{who}}} > {_SILENT_S}"
            f" unless on (process, instance) {looked})",
            summary="the guardian {{ $labels.process }} does not answer, or has not looked for a while",
            description="What it watches is not watched; budgets hold all the same. An answer is awaited each minute.",
            action="Read its log: the servers it looks at may be away; `up` starts a dead one again by itself",
            command="./ytempire status",
        ),
        Alert(
            "ProcessDown",
            "critical",
            f'max by (process, instance) (up{{job="ytempire",process!~"{"|".join(guardians)}"}} == 0)',
            summary="the process {{ $labels.process }} does not answer",
            description="Its work goes on as soon as it is there again; `up` starts a dead one by itself.",
            action="Read its log",
            command="./ytempire status",
        ),
        Alert(
            "ProcessRestarts",
            "warning",
            'changes(process_start_time_seconds{job="ytempire"}[15m]) > 3',
            summary="{{ $labels.process }} was started {{ $value }} times within 15 minutes",
            description="A process that dies again and again costs attempts of what it works on.",
            action="Read why it ends, in its log",
            command="./ytempire status --since 1h",
        ),
    )


def _work() -> tuple[Alert, ...]:
    return (
        Alert(
            "Held",
            "warning",
            'max by (ytempire_gate) (ytempire_gate{process="dispatch",ytempire_gate=~"halted|paused"}) == 1',
            summary="the factory is {{ $labels.ytempire_gate }}",
            description="Nothing goes on until somebody resumes; a guardian lifts only what it has ordered itself.",
            action="See who holds it and why, then resume",
            command="./ytempire status",
        ),
        Alert(
            "StuckAttempts",
            "warning",
            "sum by (cause) (min_over_time(ytempire_stuck_attempts[2m])) > 0",
            summary="{{ $value }} attempts are stuck ({{ $labels.cause }})",
            description="The stuck guardian hands back dead work within seconds; these stay.",
            action="See which, and the log of their worker",
            command="./ytempire status",
        ),
        Alert(
            "DeadLetters",
            "warning",
            "max(ytempire_dead_letters) - max(min_over_time(ytempire_dead_letters[2h])) > 0",
            summary="{{ $value }} events were given up within two hours",
            description="Each dead letter says why, and what to do; it is kept for a while, also when it was put back.",
            action="Read them, remove the cause, then put them back",
            command="redis-cli XREVRANGE stream:dead + - COUNT 10",
        ),
    )


def alerts(guardians: tuple[str, ...]) -> tuple[Alert, ...]:
    """All of them; `guardians` are the processes that are."""
    figures = tuple(alert_of(figure, severity) for figure in FIGURES for severity in figure.bands)
    return (*figures, *_emergencies(), *_money(), *_cards(), *_processes(guardians), *_work())
