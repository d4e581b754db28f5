from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.bench import table
from tests.bench.money import Money, measure


@pytest.mark.slow
def test_the_bench_counts_both_sides_and_writes_its_rows(tmp_path: Path) -> None:
    said: list[str] = []
    table.write_json(measure(Money(costs=500, rounds=2, calls=40), said.append), tmp_path / "rows.json")
    rows = msgspec.json.decode((tmp_path / "rows.json").read_bytes())
    assert [row["row"] for row in rows] == [
        "CPU of reserve + sent + settle, 1 row of costs",
        "CPU of reserve + sent + settle, 500 rows of costs",
        "500 rows / 1 row",
    ]
    assert all(row["value"] > 0 and row["goal"] for row in rows)
    assert "client" in rows[0]["note"]
    assert "server 0.00" not in rows[0]["note"]
    assert any("MISSED" in line or "ok" in line for line in said)
