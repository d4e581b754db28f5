from __future__ import annotations

import pytest

from tests.bench.bus.figures import Measured, peers_table, rows
from tests.bench.bus.rounds import Costs, Pace
from tests.bench.table import Row, exit_code


def measured(name: str, worker_us: float, jobs_per_s: float, p99_ms: float, *, is_peer: bool = False) -> Measured:
    """Three rounds, the last of them on a busy machine."""
    factors = (1.0, 0.9, 5.0)
    return Measured(
        name,
        is_peer,
        costs=[Costs(worker_us * f, worker_us * f / 10, jobs_per_s / f) for f in factors],
        pace=[Pace(p99_ms * f / 3, p99_ms * f, p99_ms * f * 2, jobs_per_s / f / 2) for f in factors],
    )


CEILINGS = [measured("ceiling-sync", 50, 20_000, 0), measured("ceiling-async", 100, 9_000, 0)]
OURS = [measured("ours-sync", 60, 16_000, 1.2), measured("ours-async", 140, 7_000, 1.3)]
BARE = measured("bare", 3, 190_000, 1.0)
PEERS = [
    measured("dramatiq", 350, 2_000, 400, is_peer=True),
    measured("taskiq", 400, 3_000, 2.3, is_peer=True),
]


def found(*measured: Measured) -> dict[str, Row]:
    """The rows, by the beginnings of their names."""
    names = ("worker CPU a job, sync", "worker CPU a job, async", "server CPU a job", "jobs/s", "latency p99")
    shown = rows(measured)
    return {name: next(row for row in shown if row.row.startswith(name)) for name in names}


def test_ratios_are_taken_of_medians_of_one_run() -> None:
    of = found(*CEILINGS, *OURS, BARE, *PEERS)
    assert of["worker CPU a job, sync"].value == pytest.approx(1.2)
    assert of["worker CPU a job, async"].value == pytest.approx(1.4)
    assert of["server CPU a job"].value == pytest.approx(6)
    assert of["jobs/s"].value == pytest.approx(16 / 3)
    assert of["latency p99"].value == pytest.approx(1.2)
    assert exit_code(of.values()) == 0


def test_each_figure_stands_beside_those_of_the_peers() -> None:
    of = found(*CEILINGS, *OURS, BARE, *PEERS)
    assert of["worker CPU a job, sync"].peers == {"ceiling-sync": 50, "dramatiq": 350, "taskiq": 400}
    assert of["jobs/s"].peers == {"dramatiq": 2_000, "taskiq": 3_000}
    assert of["latency p99"].peers == {"bare": 1.0, "dramatiq": 400, "taskiq": 2.3}


def test_the_best_peer_is_named() -> None:
    assert found(*CEILINGS, *OURS, BARE, *PEERS)["jobs/s"].note == "16,000 / taskiq 3,000"


def test_a_goal_whose_peer_could_not_run_is_missed_and_says_so() -> None:
    broken = Measured("bare", is_peer=False, failure="bare: 0 of 100 jobs began within 60 s")
    row = found(*CEILINGS, *OURS, broken, *PEERS)["latency p99"]
    assert (row.value, row.ok) == (None, False)
    assert row.note == "no figure of bare (bare: 0 of 100 jobs began within 60 s)"


def test_without_one_of_the_peers_nobody_can_be_called_the_best() -> None:
    broken = Measured("taskiq", is_peer=True, failure="its packages cannot be installed")
    row = found(*CEILINGS, *OURS, BARE, PEERS[0], broken)["jobs/s"]
    assert (row.value, row.ok) == (None, False)
    assert row.note == "no figure of taskiq (its packages cannot be installed)"


def test_a_goal_whose_other_side_was_not_asked_for_is_missed_and_says_so() -> None:
    of = found(*OURS)
    assert of["worker CPU a job, sync"].note == "no figure of ceiling-sync (it was not run)"
    assert of["jobs/s"].note == "no figure of any peer (none was run)"
    assert not any(of[name].ok for name in ("worker CPU a job, sync", "jobs/s", "latency p99"))


def test_every_figure_of_every_peer_is_a_row_without_a_goal() -> None:
    free = [row for row in rows([*CEILINGS, *OURS, BARE, *PEERS]) if row.goal is None]
    assert [row.unit for row in free] == ["us/job", "us/job", "jobs/s", "jobs/s", "ms", "ms"]
    assert all(row.value is not None and "taskiq" in row.peers and "ours-sync" not in row.peers for row in free)


def test_the_peers_table_says_why_a_line_is_empty() -> None:
    lines = list(peers_table([OURS[0], Measured("arq", is_peer=True, failure="there is no uv")]))
    assert lines[2].split() == ["ours-sync", "60", "6", "16,000", "8,000", "0.4", "1.2"]
    assert lines[3].split() == ["arq", *"------"]
    assert lines[4] == "  arq: there is no uv"
