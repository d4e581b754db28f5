"""The graph of stages: what each waits for, the fact it publishes, and how long it may take.

Declared once, here, as names only; streams, groups, claims, joins, time limits and metrics derive from it.
"""

from __future__ import annotations

import msgspec

ADMITTED_STREAM = "stream:admitted"
ADMITTED_FACT = "video.admitted"
FAILED_FACT = "video.failed"
CANCELLED_FACT = "video.cancelled"


class Stage(msgspec.Struct, frozen=True):
    """One stage of the flow; its name is also its consumer group and its process in the Procfile."""

    name: str
    #: The runbook's name, as `pipeline_stage_times.stage` shows it.
    title: str
    #: Stages whose output it needs; empty means that admission starts it.
    inputs: tuple[str, ...]
    #: Where it publishes, and what that fact is called.
    stream: str
    fact: str
    limit_s: int
    speed_limit_s: int
    #: The limit is never less than this times the planned length of the film.
    limit_lengths: int = 0
    #: Whether it is a GPU job, of which a throttle allows so many at once on a host.
    throttled: bool = False


STAGES: tuple[Stage, ...] = (
    Stage("script", "script_generation", (), "stream:scripts", "script.written", 60, 30),
    Stage("media", "media_collection", ("script",), "stream:media", "media.collected", 120, 60),
    Stage("audio", "audio_synthesis", ("script",), "stream:audio", "audio.synthesised", 120, 60),
    Stage(
        "render", "video_rendering", ("media", "audio"), "stream:renders", "video.rendered", 300, 180, 3, throttled=True
    ),
    Stage("quality", "quality_check", ("render",), "stream:videos", "video.completed", 120, 60, 3),
)

STAGE: dict[str, Stage] = {stage.name: stage for stage in STAGES}
FIRST = STAGES[0]
LAST = STAGES[-1]


def input_streams(stage: Stage) -> tuple[str, ...]:
    """The streams whose facts can start this stage."""
    return tuple(STAGE[name].stream for name in stage.inputs) or (ADMITTED_STREAM,)


def dependents(stage: Stage) -> tuple[Stage, ...]:
    """The stages that wait for this one."""
    return tuple(other for other in STAGES if stage.name in other.inputs)


def onward(stage: Stage) -> tuple[Stage, ...]:
    """This stage and all that directly or indirectly wait for it, in the order of the flow."""
    found = {stage.name}
    for other in STAGES:
        if found.intersection(other.inputs):
            found.add(other.name)
    return tuple(other for other in STAGES if other.name in found)


def limit_s(stage: Stage, *, length_s: float, speed: bool) -> float:
    """Seconds an attempt may take; `length_s` is the planned length of the film."""
    return max(stage.speed_limit_s if speed else stage.limit_s, stage.limit_lengths * length_s)
