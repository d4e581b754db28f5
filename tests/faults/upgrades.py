"""Row 21, played: hosts of two releases on the same servers, and what becomes of the work when the old ones end.

The ground is that of `releases.upgrading`: the first host runs today's release, the one beside it the next, which has
brought the database further. What is started again on the first host is what lies in its site at that moment.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Final

import psutil

from schema.flow import FIRST
from schema.release import RELEASE
from tests.factory.running import Factory
from tests.fakes.faults import Fault, Provider
from tests.faults import releases
from tests.faults.ground import Ground

#: In the order that docs/upgrade.md gives: the database first, then readers before their writers, then who watches.
ORDER: Final = (
    *("control", "quality", "render", "audio", "media", "script", "dispatch", "intake"),
    *("integrity", "stuck", "cost", "gpu", "vitals", "gateway"),
)
_SELLERS: Final[Mapping[str, Provider]] = {"script": "openai", "media": "pexels", "audio": "elevenlabs"}
#: What a supervisor gives a process to end by itself.
_STOP_LIMIT_S: Final = 10.0
_LATE_S: Final = 1.0

_HELD: Final = """
SELECT array_agg(video_id) FROM video_stages WHERE stage = $1 AND status = 'running' AND worker LIKE $2"""
#: Nobody else has begun, and the stage is not done either, so that somebody has to.
_LEFT: Final = """
SELECT count(*) FROM unnest($1::text[]) AS video
 WHERE NOT EXISTS (SELECT FROM video_stages WHERE video_id = video AND stage = $2 AND status = 'done')
   AND NOT EXISTS (SELECT FROM stage_attempts WHERE video_id = video AND stage = $2 AND worker NOT LIKE $3)"""
#: Attempts that ended badly; that a machine under load has not heard a provider in time is no matter of an upgrade.
_LOST: Final = """
SELECT array_agg(format('%s %s, attempt %s: %s %s', video_id, stage, attempt, outcome, error)) FROM stage_attempts
 WHERE video_id = ANY($1) AND outcome NOT IN ('done', 'released')
   AND coalesce(error, '') NOT LIKE 'UnknownOutcomeError: no whole answer%'"""
_RELEASES: Final = "SELECT array_agg(DISTINCT release) FROM stage_attempts WHERE video_id = ANY($1)"


def drained(ground: Ground, stage: str) -> float:
    """An old process is told to end in the middle of its work, while a new one is there; until its work went on."""
    pid = ground.factory.pid_of(stage)
    newer = _beside(ground).pid_of(stage)
    if stage in _SELLERS:
        ground.fakes.order(Fault(_SELLERS[stage], "latency", seconds=_LATE_S, count=6))
    workers = f"%-{stage}-{pid}-%"
    os.kill(newer, signal.SIGSTOP)  # so that some of the work is in the old one's hand
    try:
        videos = ground.submit(3)
        held = ground.until(lambda: ground.value(_HELD, stage, workers))
    finally:
        os.kill(newer, signal.SIGCONT)
    said = len(ground.factory.said)
    os.kill(pid, signal.SIGTERM)
    began_s = time.monotonic()
    ground.until(lambda: not psutil.pid_exists(pid))
    drained_s = time.monotonic() - began_s
    assert drained_s <= _STOP_LIMIT_S, f"{stage} took {drained_s:.1f} s to end"
    ground.until(lambda: _how_it_ended(ground, stage, said) is not None)
    assert _how_it_ended(ground, stage, said) == "0", (
        f"{stage} did not end by itself, but with {_how_it_ended(ground, stage, said)}"
    )
    ground.until(lambda: ground.value(_LEFT, held, stage, workers) == 0)
    recovery_s = time.monotonic() - began_s
    _until_ready(ground, stage, RELEASE, said)
    ground.until_ended(*videos)
    assert (lost := ground.value(_LOST, videos)) is None, f"attempts were lost: {lost}"
    return recovery_s


def replaced(ground: Ground) -> None:
    """The first host is brought to the next release, one process after the other, while films are made; and back."""
    for release, order in ((releases.NEXT, ORDER), (RELEASE, tuple(reversed(ORDER)))):
        releases.swap(ground.folder)
        videos = []
        for name in order:
            videos += ground.submit()
            said = len(ground.factory.said)
            os.kill(ground.factory.pid_of(name), signal.SIGTERM)
            _until_ready(ground, name, release, said)
            assert _how_it_ended(ground, name, said) == "0", f"{name} did not end by itself"
        ground.until_ended(*videos)
        made_by = set(ground.value(_RELEASES, videos))
        assert made_by == {"", releases.NEXT}, f"old and new should have worked, but it was {made_by}"
        assert (lost := ground.value(_LOST, videos)) is None, f"attempts were lost: {lost}"
    facts = ground.factory.transport.observe({FIRST.stream: "0-0"}, 0.05)
    assert {b"hue" in fact.fields for fact in facts} == {True, False}, "facts of old and new should be in one stream"


def _beside(ground: Ground) -> Factory:
    assert ground.beside is not None, "this is played on the ground of two releases"
    return ground.beside


def _how_it_ended(ground: Ground, name: str, since: int) -> str | None:
    """The exit code, or the signal, that the launcher told of since so many lines."""
    for line in ground.factory.said[since:]:
        who, _, text = line.partition(" | ")
        if who.strip() == name and "starting again" in text:
            return text.partition(";")[0].removeprefix("ended with code ")
    return None


def _until_ready(ground: Ground, name: str, release: str, since: int) -> None:
    """Until the process is up again, of this release."""

    def is_ready() -> bool:
        lines = (line for line in ground.factory.said[since:] if line.partition(" | ")[0].strip() == name)
        return any('"process.ready"' in line and f'"{release}"' in line for line in lines)

    ground.until(is_ready)
