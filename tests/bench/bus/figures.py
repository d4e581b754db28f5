"""From what was measured to rows: medians over the rounds, ratios of one run, goals.

A ratio needs both its sides from the same run; where one is missing the row has no figure, says which, and misses its
goal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

from tests.bench.bus.rounds import Costs, Pace
from tests.bench.table import Goal, Row, columns, number, row

_OURS: Final = "ours-sync"


class Measured(msgspec.Struct, frozen=True):
    """All rounds of one peer."""

    name: str
    is_peer: bool
    costs: Sequence[Costs] = ()
    pace: Sequence[Pace] = ()
    #: Why there is less than there should be; empty when all went well.
    failure: str = ""


Pick = Callable[[Measured], float | None]


def worker_us(measured: Measured) -> float | None:
    """Worker CPU a job."""
    return median(each.worker_us for each in measured.costs) if measured.costs else None


def server_us(measured: Measured) -> float | None:
    """Server CPU a job."""
    return median(each.server_us for each in measured.costs) if measured.costs else None


def excluded_per_s(measured: Measured) -> float | None:
    """Jobs a second, enqueue excluded."""
    return median(each.jobs_per_s for each in measured.costs) if measured.costs else None


def included_per_s(measured: Measured) -> float | None:
    """Jobs a second, enqueue included."""
    return median(each.jobs_per_s for each in measured.pace) if measured.pace else None


def p50_ms(measured: Measured) -> float | None:
    """Half of the jobs begin sooner."""
    return median(each.p50_ms for each in measured.pace) if measured.pace else None


def p99_ms(measured: Measured) -> float | None:
    """One in a hundred begins later."""
    return median(each.p99_ms for each in measured.pace) if measured.pace else None


_COLUMNS: Final[tuple[tuple[str, str, Pick], ...]] = (
    ("worker CPU", "us/job", worker_us),
    ("server CPU", "us/job", server_us),
    ("enqueue excluded", "jobs/s", excluded_per_s),
    ("enqueue included", "jobs/s", included_per_s),
    ("p50 at 100/s", "ms", p50_ms),
    ("p99 at 100/s", "ms", p99_ms),
)


def rows(measured: Sequence[Measured]) -> list[Row]:
    """The goals that rounds decide, then every figure of every peer."""
    of = {each.name: each for each in measured}
    return [
        _ratio(
            of, "worker CPU a job, sync actor / free-broker ceiling", worker_us, ("ours-sync", "ceiling-sync"), 1.35
        ),
        _ratio(
            of, "worker CPU a job, async actor / free-broker ceiling", worker_us, ("ours-async", "ceiling-async"), 1.5
        ),
        _server_row(of),
        _best_peer_row(of),
        _ratio(of, "latency p99 at 100/s / bare blocking loop", p99_ms, ("ours-sync", "bare"), 1.5),
        *(
            row(f"{name}, ours-sync beside all", _figure(of, _OURS, pick), unit, peers=_others(of, pick))
            for name, unit, pick in _COLUMNS
        ),
    ]


def peers_table(measured: Sequence[Measured]) -> Iterator[str]:
    """A line for each peer."""
    head = ("", *(name for name, _, _ in _COLUMNS))
    units = ("median", *(unit for _, unit, _ in _COLUMNS))
    body = [(each.name, *(number(pick(each)) for _, _, pick in _COLUMNS)) for each in measured]
    yield from columns(head, [units, *body])
    yield from (f"  {each.name}: {each.failure}" for each in measured if each.failure)


def _ratio(of: Mapping[str, Measured], name: str, pick: Pick, pair: tuple[str, str], at_most: float) -> Row:
    ours, theirs = (_figure(of, each, pick) for each in pair)
    peers = {**({} if theirs is None else {pair[1]: theirs}), **_peers(of, pick)}
    if ours is None or not theirs:
        absent = [each for each in pair if not _figure(of, each, pick)]
        return row(name, None, "x", Goal("<=", at_most), peers=peers, note=_missing(of, absent))
    note = f"{number(ours)} / {number(theirs)}"
    return row(name, ours / theirs, "x", Goal("<=", at_most), peers=peers, note=note)


def _server_row(of: Mapping[str, Measured]) -> Row:
    ours = _figure(of, _OURS, server_us)
    note = "" if ours is not None else _missing(of, (_OURS,))
    peers = _peers(of, server_us)
    return row("server CPU a job, settle and event included", ours, "us", Goal("<=", 10), peers=peers, note=note)


def _best_peer_row(of: Mapping[str, Measured]) -> Row:
    """The best of the peers that were run; nobody can be called that while one of them has no figure."""
    name, goal = "jobs/s, enqueue excluded / best peer", Goal(">=", 5)
    ours, peers = _figure(of, _OURS, excluded_per_s), _peers(of, excluded_per_s)
    absent = [each.name for each in of.values() if each.is_peer and each.name not in peers]
    if ours is None:
        absent.append(_OURS)
    if absent or ours is None:
        return row(name, None, "x", goal, peers=peers, note=_missing(of, absent))
    if not peers:
        return row(name, None, "x", goal, note="no figure of any peer (none was run)")
    best = max(peers, key=lambda peer: peers[peer])
    return row(name, ours / peers[best], "x", goal, peers=peers, note=f"{number(ours)} / {best} {number(peers[best])}")


def _figure(of: Mapping[str, Measured], name: str, pick: Pick) -> float | None:
    return pick(of[name]) if name in of else None


def _peers(of: Mapping[str, Measured], pick: Pick) -> dict[str, float]:
    return {name: value for name, value in _others(of, pick).items() if of[name].is_peer}


def _others(of: Mapping[str, Measured], pick: Pick) -> dict[str, float]:
    return {each.name: value for each in of.values() if each.name != _OURS and (value := pick(each)) is not None}


def _missing(of: Mapping[str, Measured], absent: Sequence[str]) -> str:
    """Who has no figure, and why."""
    return "no figure of " + ", ".join(
        f"{name} ({of[name].failure or 'it measured nothing'})" if name in of else f"{name} (it was not run)"
        for name in absent
    )
