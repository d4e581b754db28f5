from __future__ import annotations

import pytest

from tests.bench.render import gate


@pytest.mark.slow
def test_each_fault_is_found_and_no_clean_film_is_refused() -> None:
    rows = gate.gate(len(gate.PLANTERS), processes=1)
    assert [(row.value, row.ok, row.note) for row in rows] == [(0, True, ""), (0, True, "")]
    assert rows[1].peers == dict.fromkeys(gate.PLANTERS, "1/1")


def test_a_false_alarm_and_a_fault_that_was_not_found_are_counted_and_named() -> None:
    films = [
        gate.Judged(0, "film 0", "black", ("loudness: -20 LUFS",), ("black: 0.6 s",)),
        gate.Judged(1, "film 1", "mute", (), ()),
    ]
    alarms, missed = gate.rows(films)
    assert (alarms.value, alarms.ok, alarms.note) == (1, False, "film 0: loudness: -20 LUFS")
    assert (missed.value, missed.ok, missed.note) == (1, False, "mute in film 1")
    assert missed.peers == {"black": "1/1", "mute": "0/1"}
