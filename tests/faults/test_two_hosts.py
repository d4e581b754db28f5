"""Two hosts that share a store, played small: a cut, and an outage of the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import two_hosts


@pytest.mark.slow
def test_two_hosts_on_a_shared_store_lose_nothing_when_one_is_cut_off_and_comes_back(tmp_path: Path) -> None:
    rows, broken = two_hosts.play(tmp_path, videos=2, seed=1, say=lambda _: None)
    assert broken == []
    assert [row for row in rows if row.ok is False] == []
