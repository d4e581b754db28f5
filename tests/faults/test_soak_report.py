"""What a soak says of what it saw: that something grew, that an invariant broke, and that a plot has all of it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.faults import journals, soak_report
from tests.faults.soak_samples import Sample


def sample(minute: int, *, memory: float = 50.0, broken: tuple[str, ...] = ()) -> Sample:
    return Sample(
        at_s=60.0 * minute,
        faults=minute,
        videos={"completed": 10 * minute},
        memory={"intake": memory, "script": 90.0},
        descriptors={"intake": 20},
        postgres_connections=30,
        redis_clients=60,
        redis_memory=2.0,
        consumers=12,
        disk={"videos": 1.0 * minute, "work": 40.0},
        broken=broken,
        rested=minute % 40 == 0,
    )


def cell(samples: list[Sample], measure: str) -> tuple[str, ...]:
    return next(row for row in soak_report.cells(samples) if row[0] == measure)


def test_what_grows_is_told_by_how_much_and_what_does_not_is_flat() -> None:
    samples = [sample(minute, memory=50.0 + minute) for minute in range(1, 121)]
    assert cell(samples, "memory of intake, MiB") == ("memory of intake, MiB", "73", "163", "", "2.23")
    assert cell(samples, "consumers on the bus")[1:] == ("12", "12", "12", "1.00")
    assert cell(samples, "disk, without films and record, MiB")[1:] == ("40", "40", "40", "1.00")


def test_rests_at_which_an_invariant_was_broken_are_counted() -> None:
    samples = [sample(minute, broken=("I1: lost",) if minute == 80 else ()) for minute in range(1, 121)]
    assert soak_report.summary(samples).endswith("at rest 3 times, an invariant broken 1 times")


def test_a_plot_has_every_measure_and_a_short_run_has_one_too() -> None:
    drawn = soak_report.plot([sample(1)])
    assert all(measure.title in drawn for measure in soak_report.MEASURES)
    assert drawn.count('class="time"') == len(soak_report.MEASURES)


def test_a_journal_is_gone_on_with_behind_its_last_whole_line(tmp_path: Path) -> None:
    journal = tmp_path / "soak.jsonl"
    journals.add(journal, sample(1))
    journal.write_bytes(journal.read_bytes() + msgspec.json.encode(sample(2))[:40])
    assert journals.kept(journal, Sample) == [sample(1)]
    journals.add(journal, sample(3))
    assert journals.kept(journal, Sample) == [sample(1), sample(3)]
    assert journals.kept(tmp_path / "none", Sample) == []
