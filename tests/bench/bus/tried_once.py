"""What is tried once, not in rounds: it either holds or it does not.

Our own side is tried alone, on a machine as quiet as it gets; peers are tried all at once, since they mostly wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final, TypeVar

from tests.bench.bus import idle, long_job, memory
from tests.bench.bus.lab import Lab, Say
from tests.bench.bus.peers import Peer
from tests.bench.bus.redelivery import redelivery_s
from tests.bench.bus.trial import Trial, TrialError
from tests.bench.table import Goal, Row, row

T = TypeVar("T")

_OURS: Final = "ours-sync"
_IDLE_S: Final = 10.0
_FEW_JOBS: Final = 40
#: Of ours, at as many moments of a lease.
_KILLS: Final = 5
_MB: Final = 1e6


def rows(lab: Lab, say: Say) -> Iterator[Row]:
    """One after the other."""
    peers = [peer for peer in lab.able if peer.kind == "peer"]
    if lab.options.kill9:
        yield from _redelivery(lab, peers, say)
    yield _long_job(lab, [peer for peer in peers if peer.name == "taskiq"], say)
    yield _memory(lab, say)
    yield _idle(lab, peers, say)


def _redelivery(lab: Lab, peers: Sequence[Peer], say: Say) -> Iterator[Row]:
    limit_s = lab.options.limit_s
    for name, goal, second_worker in (
        ("redelivery after kill -9 of the whole worker, by one of another machine", Goal("<=", 5), True),
        ("redelivery after kill -9, by the worker started again at once", Goal("<=", 2), False),
    ):
        say(name)
        measure = partial(redelivery_s, limit_s=limit_s, second_worker=second_worker)
        value, note = _worst(lab, measure)
        found, failure = _tried(lab, peers, measure)
        shown = {peer: f"> {limit_s:g}" if seconds is None else seconds for peer, seconds in found.items()}
        yield row(name, value, "s", goal, peers=shown, note="; ".join(filter(None, (note, failure))))


def _worst(lab: Lab, measure: Callable[[Sequence[Trial]], Sequence[float | None]]) -> tuple[float | None, str]:
    """The longest of ours; None where one of them did not come back."""
    if not _ours_of(lab):
        return None, _absent(lab)
    try:
        found = _measured(lab, [*_ours_of(lab)] * _KILLS, measure)
    except TrialError as error:
        return None, str(error)
    if None in found:
        return None, f"{found.count(None)} of {len(found)} did not come back within {lab.options.limit_s:g} s"
    return max(seconds for seconds in found if seconds is not None), f"the longest of {len(found)}"


def _long_job(lab: Lab, peers: Sequence[Peer], say: Say) -> Row:
    job_s, lease_s = lab.options.long_job_s, lab.options.long_lease_s
    name = f"starts of a {job_s:g} s job, {lease_s:g} s lease, two workers, traffic"
    say(name)
    environ = {"BENCH_VICTIM_S": str(job_s), "BENCH_LEASE_S": str(lease_s)}

    def measure(trials: Sequence[Trial]) -> list[int]:
        return long_job.starts(trials, job_s, lease_s)

    tried = [*_ours_of(lab), *peers]
    found, failure = _tried(lab, tried, measure, environ=environ)
    others = {peer: count for peer, count in found.items() if peer != _OURS}
    return row(name, found.get(_OURS), "start(s)", Goal("=", 1), peers=others, note=failure or _absent(lab))


def _memory(lab: Lab, say: Say) -> Row:
    jobs = lab.options.memory_jobs
    name = f"memory over empty after {jobs:,} settled entries, past the retention window"
    say(name)
    value, note = _ours(lab, lambda trials: [memory.left_bytes(trials[0], jobs) / _MB], jobs)
    return row(
        name, value, "MB", Goal("<=", 10), note=note or "the jobs' stream and the stream of their events, trimmed"
    )


def _idle(lab: Lab, peers: Sequence[Peer], say: Say) -> Row:
    name = "commands a second of an idle worker, those inside scripts included"
    say(name)
    value, note = _ours(lab, lambda trials: idle.commands_per_s(trials, _IDLE_S))
    found, failure = _tried(lab, peers, lambda trials: idle.commands_per_s(trials, _IDLE_S))
    return row(name, value, "/s", Goal("<=", 2), peers=found, note="; ".join(filter(None, (note, failure))))


def _ours(lab: Lab, measure: Callable[[Sequence[Trial]], Sequence[T]], jobs: int = _FEW_JOBS) -> tuple[T | None, str]:
    """Our own figure, or why there is none."""
    found, failure = _tried(lab, _ours_of(lab), measure, jobs)
    return found.get(_OURS), failure or _absent(lab)


def _ours_of(lab: Lab) -> Sequence[Peer]:
    return [peer for peer in lab.able if peer.name == _OURS]


def _absent(lab: Lab) -> str:
    return "" if _ours_of(lab) else f"no figure of {_OURS} (it was not run)"


def _tried(
    lab: Lab,
    peers: Sequence[Peer],
    measure: Callable[[Sequence[Trial]], Sequence[T]],
    jobs: int = _FEW_JOBS,
    environ: Mapping[str, str] | None = None,
) -> tuple[Mapping[str, T], str]:
    """Figures by the names of the peers, tried again without one that does not run; and why it did not."""
    failures: list[str] = []
    while peers:
        try:
            found = _measured(lab, peers, measure, jobs, environ)
            return dict(zip((peer.name for peer in peers), found, strict=True)), "; ".join(failures)
        except TrialError as error:
            failures.append(str(error))
            peers = [peer for peer in peers if peer != error.peer]
    return {}, "; ".join(failures)


def _measured(
    lab: Lab,
    peers: Sequence[Peer],
    measure: Callable[[Sequence[Trial]], Sequence[T]],
    jobs: int = _FEW_JOBS,
    environ: Mapping[str, str] | None = None,
) -> Sequence[T]:
    """One figure for each; raises TrialError."""
    with ExitStack() as stack:
        return measure([stack.enter_context(lab.trial(peer, jobs, environ)) for peer in peers])
