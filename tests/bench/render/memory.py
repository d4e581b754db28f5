"""What ours holds at its highest: by the film of 24 s as the rounds made it, and by a long one.

Ten minutes of film take too long for a bench that ends in nine, so without --long it is two, encoded by `ultrafast`,
which keeps fewer frames, and beside it a short one: what they show is whether memory grows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tests.bench.render import contestants, jobs
from tests.bench.render.figures import Measured
from tests.bench.render.jobs import Job
from tests.bench.render.rounds import Films
from tests.bench.render.running import ContestantError
from tests.bench.table import Goal, Row, row

_LONG_S: Final = 600.0
_SHORTER_S: Final = 120.0
_TINY_S: Final = 6.0
_PATIENCE_S: Final = 1_800.0
_FLOOR, _GOAL = Goal("<=", 480), Goal("<=", 400)
#: More than that between a short film and a long one is growth, not chance.
_FLAT: Final = Goal("<=", 1.1)


def rows(films: Films, measured: Sequence[Measured], say: Callable[[str], None]) -> list[Row]:
    """Floor and goal of both, and the long one over the short one."""
    still = next((one for one in measured if one.job == "still"), None)
    usual = films.options.long
    preset = "" if usual else "ultrafast"
    named = "veryfast" if usual else "ultrafast"
    short = films.job("still", folder="short", preset=preset)
    length_s = _TINY_S if films.options.tiny else _LONG_S if usual else _SHORTER_S
    brief = f"{short.order.speech.duration_s:.0f} s"
    say(f"memory: {length_s:g} s of film, {named}")
    peak_short, why = _peak_mb(short)
    peak_long, why_long = _peak_mb(jobs.lengthened(short, films.folder("long"), length_s))
    peak = None if still is None else still.peak_mb("ours")
    both = f"{peak_long:.0f} / {peak_short:.0f} MB" if peak_long and peak_short else why or why_long
    return [
        *_judged(f"peak memory of ours, {brief} of film, veryfast", peak, "" if still else "the job still was not run"),
        *_judged(f"peak memory of ours, {length_s:g} s of film, {named}", peak_long, why_long),
        row(
            f"peak memory, {length_s:g} s / {brief} of film, {named}",
            peak_long / peak_short if peak_long and peak_short else None,
            "",
            _FLAT,
            note=both,
        ),
    ]


def _judged(name: str, peak_mb: float | None, note: str) -> list[Row]:
    return [
        row(f"{name}, floor", peak_mb, "MB", _FLOOR, note=note),
        row(f"{name}, goal", peak_mb, "MB", _GOAL),
    ]


def _peak_mb(job: Job) -> tuple[float | None, str]:
    try:
        return contestants.ours(job, _PATIENCE_S)[0].peak_mb, ""
    except ContestantError as error:
        return None, str(error)
