"""What the bench of the gateway makes of its figures."""

from __future__ import annotations

from tests.bench import table
from tests.bench.gateway import _MIX, _STRIDE, _TURNS, rows


def test_the_slowest_hundredth_decides_and_what_was_never_answered_has_missed_its_goal() -> None:
    quick, slow = [1.0] * 1000, [1.0] * 950 + [900.0] * 50
    took_ms = {name: list(quick) for name in (*_MIX, "all")}
    found = rows(took_ms, [], "")
    assert [row.ok for row in found] == [True] * len(found)
    late = {row.row: row for row in rows({**took_ms, "video": slow}, ["video: 503"], "")}
    assert (late["video: p99"].ok, late["health: p99"].ok, late["failures"].ok) == (False, True, False)
    assert "video: 503" in late["failures"].note
    silent = rows({}, [], "")
    assert table.exit_code(silent) == 1


def test_kinds_of_questions_are_mixed_as_they_are_said_to_be() -> None:
    turns = [_TURNS[number * _STRIDE % len(_TURNS)] for number in range(len(_TURNS))]
    assert {name: turns.count(name) for name in _MIX} == _MIX
