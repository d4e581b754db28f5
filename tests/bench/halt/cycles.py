"""What halts and resumes cost in work: many of them over a whole factory that is kept busy, at moments of chance.

The stages are stubs that wait in small steps; everything around them is the product's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from schema import flow
from tests.bench.halt.lab import Say, dice
from tests.bench.waiting import wait
from tests.factory.running import STUBS, Factory, factory

_STAGE_S: Final = "0.1"
_AHEAD: Final = 20
_NOTES: Final = "Rivers carry more than water. " * 12
_OPEN_S: Final = (0.05, 0.2)
_HELD_S: Final = (0.0, 0.06)
_ENDS_WITHIN_S: Final = 120.0


class Cycled(msgspec.Struct, frozen=True):
    """What became of the videos."""

    accepted: int
    #: Accepted and not completed; commits of a stage that are missing, or one too many.
    lost: int
    #: Attempts that a halt interrupted.
    interrupted: int


def cycles(folder: Path, count: int, say: Say) -> Cycled:
    """Halt and resume so often, then let everything end."""
    with factory(folder, procfile=STUBS, environ={"STUB_STAGE_S": _STAGE_S}) as running:
        accepted = [_submitted(running, number) for number in range(_AHEAD)]
        for number in range(count):
            if number and number % 100 == 0:
                say(f"  {number} cycles")
            accepted.append(_submitted(running, _AHEAD + number))
            wait(dice.uniform(*_OPEN_S))
            running.command(type="halt")
            wait(dice.uniform(*_HELD_S))
            running.command(type="resume")
        running.until(lambda: set(running.statuses()) <= {"completed", "failed"}, within_s=_ENDS_WITHIN_S + count)
        return _judge(running, accepted)


def _submitted(running: Factory, number: int) -> str:
    return running.receipt(running.submit(topic=f"Video {number}", notes=_NOTES))["video"]


def _judge(running: Factory, accepted: list[str]) -> Cycled:
    completed = {str(row[0]) for row in running.rows("SELECT id FROM video_queue WHERE status = 'completed'")}
    done = running.rows("SELECT video_id, stage FROM stage_attempts WHERE outcome = 'done'")
    expected = {(video, stage.name) for video in accepted for stage in flow.STAGES}
    ((interrupted,),) = running.rows("SELECT count(*) FROM stage_attempts WHERE outcome = 'released'")
    lost = len(set(accepted) - completed)
    wrong = len(expected.symmetric_difference({(str(video), str(stage)) for video, stage in done}))
    return Cycled(len(accepted), lost + wrong + len(done) - len(set(done)), int(str(interrupted)))
