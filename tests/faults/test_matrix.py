"""One fault of each kind on a real factory, and a check that a broken promise is seen and ends with 1."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from deploy.launch.plan import ROOT
from tests.bench import waiting
from tests.faults import sweep
from tests.faults.ground import Ground
from tests.faults.matrix import CASES, ROWS, TESTED, Case


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_fault_of_each_kind_loses_nothing_and_bills_nothing_twice_unsaid(tmp_path: Path) -> None:
    journal, said = sweep.Journal(tmp_path / "journal"), list[str]()
    cases = [case for case in CASES if case.short]
    runs = sweep.play(cases, rounds=1, seed=1, journal=journal, say=said.append)
    assert [run.broken for run in runs if run.broken] == []
    assert [run.case for run in sweep.Journal(tmp_path / "journal").runs] == [case.name for case in cases]
    assert sweep.play(cases, rounds=1, seed=1, journal=journal, say=said.append) == runs  # none is played again


def _forges(ground: Ground) -> None:
    """A film cut short under its final name, a bill that no call is recorded for, and an end that is none."""
    (video,) = ground.submit()
    ground.until_ended(video)
    ground.until_quiet()
    film = ground.folder / f"data/videos/{video}.mp4"
    film.write_bytes(film.read_bytes()[:-1])
    lines = ground.fakes.ledger_path.read_text(encoding="utf-8").splitlines()
    reservation = next(line.reservation for line in ground.fakes.lines("openai"))
    forged = next(line for line in lines if reservation in line).replace(reservation, "0" * 32)
    with ground.fakes.ledger_path.open("a", encoding="utf-8") as ledger:
        ledger.write(forged + "\n")
    ground.value("UPDATE video_queue SET status = 'failed', reason = '' WHERE id = $1 RETURNING id", video)


@pytest.mark.slow
def test_what_is_lost_half_written_or_billed_unseen_is_told() -> None:
    (run,) = sweep.play([Case(1, "forged", _forges)], rounds=1, seed=1, journal=sweep.Journal(None), say=lambda _: None)
    told = {text.split(":")[0] for text in run.broken}
    assert told == {"I1", "I4", "I5"}, run.broken
    head, first, *_ = sweep.cells([run])
    assert dict(zip(head[1:], first[1:], strict=True)) == {
        "runs": "1",
        "lost": "1",
        "billed twice": "1",
        "half files": "1",
        "anything else": "0",
        "worst recovery, s": "",
    }


def test_ctrl_c_that_was_noted_ends_the_wait_for_a_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ground, "_look", lambda _: None)
    monkeypatch.setattr(waiting, "_signals", [signal.SIGINT])
    with pytest.raises(KeyboardInterrupt):
        Ground.__new__(Ground).until(lambda: False, within_s=1.0)


def test_each_row_has_a_case_and_each_case_a_name_of_its_own() -> None:
    assert {case.row for case in CASES} == set(ROWS)
    assert all((ROOT / path).exists() for paths in TESTED.values() for path in paths)
    assert len({(case.row, case.name) for case in CASES}) == len(CASES)
