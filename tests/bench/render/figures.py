"""From what was measured to rows: medians over the rounds, ratios of one run, what is left part by part, goals.

A ratio needs both its sides; where one is missing the row has no figure, says why, and misses its goal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import msgspec

from tests.bench.render.asked import CONTESTANTS
from tests.bench.render.parts import Parts
from tests.bench.render.running import Used
from tests.bench.table import Goal, Row, columns, number, row


class Measured(msgspec.Struct, frozen=True):
    """All rounds of one job."""

    job: str
    frames: int = 0
    fps: int = 30
    of: Mapping[str, Sequence[Used]] = {}
    #: Who could not, and why.
    failures: Mapping[str, str] = {}
    parts: Parts | None = None
    inspection: Used | None = None

    def cpu_s(self, who: str) -> float | None:
        """The median of a contestant's CPU seconds."""
        return median(used.cpu_s for used in self.of[who]) if self.of.get(who) else None

    def wall_s(self, who: str) -> float | None:
        """The median of its wall."""
        return median(used.wall_s for used in self.of[who]) if self.of.get(who) else None

    def peak_mb(self, who: str) -> float | None:
        """The highest of its peaks."""
        return max((used.peak_mb for used in self.of.get(who, ())), default=None)

    def why(self, *who: str) -> str:
        """Who has no figure, and why."""
        return "no figure of " + ", ".join(
            f"{name} ({self.failures.get(name, 'it was not run')})" for name in who if not self.of.get(name)
        )

    @property
    def unmastered_s(self) -> float | None:
        """Ours without mastering, which was measured apart."""
        ours = self.cpu_s("ours")
        return None if ours is None or self.parts is None else ours - self.parts.mastering_s


def efficiency(measured: Measured, name: str, *, floor: float, goal: float) -> list[Row]:
    """CPU of the bare encode over CPU of the whole job, against floor and goal; then the same with mastering."""
    bare, ours, whole = measured.cpu_s("bare"), measured.unmastered_s, measured.cpu_s("ours")
    title = f"{name}: CPU of {'bare decode and encode' if measured.job == 'clips' else 'the bare encode'} / ours"
    if bare is None or ours is None or whole is None:
        missing = measured.why("bare", "ours") if bare is None or whole is None else "mastering was not measured"
        return [
            row(f"{title}, {kind}", None, "", Goal(">=", bound), note=missing) for kind, bound in _kinds(floor, goal)
        ]
    note = f"{number(bare)} / {number(ours)} CPU s; {bare / whole:.3f} with mastering"
    peers = {
        who: bare / cpu_s for who in ("ffmpeg", "moviepy") if (cpu_s := measured.cpu_s(who)) is not None and cpu_s > 0
    }
    return [
        row(f"{title}, {kind}", bare / ours, "", Goal(">=", bound), peers=peers, note=note if kind == "floor" else "")
        for kind, bound in _kinds(floor, goal)
    ]


def _kinds(floor: float, goal: float) -> tuple[tuple[str, float], tuple[str, float]]:
    return ("floor", floor), ("goal", goal)


def left_over(measured: Measured) -> dict[str, float]:
    """CPU seconds of ours above the bare encode, part by part; the hand-over is what nothing else explains."""
    bare, ours = measured.cpu_s("bare"), measured.unmastered_s
    if bare is None or ours is None or measured.parts is None or not measured.parts.of:
        return {}
    named = dict(measured.parts.of)
    return {**named, "hand-over and the rest": ours - bare - sum(named.values())}


def _rest(measured: Measured) -> str:
    parts = sorted(left_over(measured).items(), key=lambda part: -part[1])
    return "left: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts)


def wall(measured: Measured, name: str, *, floor: float, goal: float) -> list[Row]:
    """Wall of ours, all included, over that of ffmpeg's command line."""
    ours, theirs = measured.wall_s("ours"), measured.wall_s("ffmpeg")
    title = f"{name}: wall of ours / the ffmpeg command line"
    if ours is None or theirs is None:
        note = measured.why("ours", "ffmpeg")
        return [row(f"{title}, {kind}", None, "", Goal("<=", bound), note=note) for kind, bound in _kinds(floor, goal)]
    note = f"{number(ours)} / {number(theirs)} s"
    return [
        row(f"{title}, {kind}", ours / theirs, "", Goal("<=", bound), note=note if kind == "floor" else "")
        for kind, bound in _kinds(floor, goal)
    ]


def unjudged(measured: Measured) -> Iterator[Row]:
    """Every figure of every contestant, without a goal: for the JSON."""
    for what, unit, pick in (
        ("CPU", "s", Measured.cpu_s),
        ("wall", "s", Measured.wall_s),
        ("peak", "MB", Measured.peak_mb),
    ):
        others = {who: value for who in CONTESTANTS[1:] if (value := pick(measured, who))}
        yield row(f"{measured.job}: {what}, ours beside all", pick(measured, "ours"), unit, peers=others)
    if measured.parts is not None:
        yield row(f"{measured.job}: mastering", measured.parts.mastering_s, "CPU s")
    if measured.inspection is not None:
        yield row(f"{measured.job}: quality inspection", measured.inspection.cpu_s, "CPU s")
    for part, seconds in left_over(measured).items():
        yield row(f"{measured.job}: left, {part}", seconds, "CPU s")


def cells(measured: Sequence[Measured]) -> list[tuple[str, ...]]:
    """A line for each contestant of each job, below a head."""
    head = ("", "CPU s", "bare / its CPU", "wall s", "frames/s", "peak MB", "rounds")
    return [head, *(line for one in measured for line in _lines(one))]


def table(measured: Sequence[Measured]) -> Iterator[str]:
    """The same as text, and what was counted apart."""
    head, *body = cells(measured)
    yield from columns(head, body)
    yield from notes(measured)


def notes(measured: Sequence[Measured]) -> Iterator[str]:
    """Who could not and why, what was counted apart, and what is left part by part."""
    for one in measured:
        yield from (f"  {one.job}, {who}: {why}" for who, why in one.failures.items())
    for one in measured:
        if one.parts is not None:
            inspected = f"; quality inspection {number(one.inspection.cpu_s)}" if one.inspection else ""
            yield f"  {one.job}, apart, CPU s: mastering {one.parts.mastering_s:.2f}{inspected}"
            if left_over(one):
                yield f"  {one.job}, CPU s {_rest(one)}"
            if one.parts.missing:
                yield f"  {one.job}: not counted, no longer there: {', '.join(one.parts.missing)}"


def _lines(one: Measured) -> Iterator[tuple[str, ...]]:
    bare = one.cpu_s("bare")
    for who in CONTESTANTS:
        cpu_s, wall_s, peak_mb = one.cpu_s(who), one.wall_s(who), one.peak_mb(who)
        if cpu_s is None or wall_s is None or peak_mb is None:
            continue
        ratio = "" if bare is None else f"{bare / cpu_s:.2f}"
        peak = number(peak_mb) if peak_mb else ""
        rate = number(one.frames / wall_s)
        yield f"{one.job}, {who}", number(cpu_s), ratio, number(wall_s), rate, peak, str(len(one.of[who]))
