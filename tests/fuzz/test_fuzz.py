from __future__ import annotations

import pytest

from tests.fuzz import events
from tests.fuzz.judging import Tally


@pytest.mark.parametrize("row", events.ROWS)
def test_whatever_entry_comes_is_taken_or_refused_with_a_reason_and_a_right_line(row: str) -> None:
    tally = Tally(row)
    events.play(row, 0, 0, tally, alarm=False, count=100)
    assert tally.findings == []
