"""A share of what `python -m tests.fuzz` plays, and the judge itself."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from schema.errors import RefusedError
from tests.fuzz import __main__ as program
from tests.fuzz import answers, bus, cases, events, gateway, media, playing
from tests.fuzz.judging import Tally, judged

# as at work: what a library warns of is a line on the error output, and ends nothing
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("row", events.ROWS)
def test_whatever_entry_comes_is_taken_or_refused_with_a_reason_and_a_right_line(row: str) -> None:
    tally = Tally(row)
    events.play(row, 0, 0, tally, alarm=False, count=25)
    assert tally.findings == []
    assert tally.refused
    assert tally.cases >= 25


@pytest.mark.parametrize(("row", "count"), [("pictures", 8), ("files", 15)])
def test_whatever_file_lies_there_is_read_or_refused_by_name(tmp_path: Path, row: str, count: int) -> None:
    _play_files(tmp_path, row, count)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "count"), [("pictures", 120), ("clips", 100), ("sounds", 30), ("films", 10), ("files", 40)]
)
def test_a_larger_share_of_broken_files_is_read_or_refused_by_name(tmp_path: Path, row: str, count: int) -> None:
    _play_files(tmp_path, row, count)


def _play_files(folder: Path, row: str, count: int) -> None:
    tally = Tally(row)
    with media.desk(row, folder) as desk:
        for number in range(count):
            desk.play(0, number, tally, alarm=False)
    assert tally.findings == []
    assert tally.cases == count


@pytest.mark.slow
@pytest.mark.parametrize("row", answers.ROWS)
def test_whatever_a_provider_answers_is_an_answer_or_a_failure_in_words(tmp_path: Path, row: str) -> None:
    tally = Tally(row)
    with answers.reader(row, tmp_path) as one:
        for number in range(50):
            one.play(0, number, tally, alarm=False)
    assert tally.findings == []
    assert tally.refused
    assert tally.accepted


@pytest.mark.slow
def test_whatever_comes_over_the_bus_gets_a_receipt(valkey_url: str, database_url: str, tmp_path: Path) -> None:
    tally = Tally("bus")
    with bus.bus(tmp_path, (valkey_url, database_url)) as one:
        one.play(0, 0, tally, alarm=False, count=40)
    assert tally.findings == []


@pytest.mark.slow
@pytest.mark.parametrize(("row", "numbers", "count"), [("openapi", 26, 3), ("sockets", 60, 1)])
def test_whatever_is_asked_over_http_gets_an_answer(
    valkey_url: str, database_url: str, tmp_path: Path, row: str, numbers: int, count: int
) -> None:
    tally = Tally(row)
    with gateway.asking(row, tmp_path, (valkey_url, database_url)) as one:
        for number in range(numbers):
            one.play(0, number, tally, alarm=False, count=count)
    assert tally.findings == []
    assert tally.cases >= numbers


def test_a_case_is_what_its_seed_and_number_say() -> None:
    def made(seed: int, number: int) -> bytes:
        return cases.spoilt(cases.chance("row", seed, number), b"right" * 100)

    assert made(1, 2) == made(1, 2)
    assert len({made(seed, number) for seed in range(5) for number in range(5)}) > 20


def test_the_judge_knows_a_crash_a_silence_and_a_hang() -> None:
    def crash() -> None:
        raise ValueError("what nobody foresaw")

    def refuse(hint: str) -> None:
        raise RefusedError("too long", hint=hint)

    tally = Tally("row")
    assert judged(tally, 1, b"x", lambda: None, limit_s=1) == ""
    assert judged(tally, 2, b"x", lambda: refuse("shorten it"), limit_s=1, needs_hint=True) == ""
    assert (tally.accepted, tally.refused, tally.bad) == (1, 1, 0)
    assert "ValueError: what nobody foresaw at tests/fuzz/test_fuzz.py" in judged(tally, 3, b"xyz", crash, limit_s=1)
    assert judged(tally, 4, b"x", lambda: refuse(""), limit_s=1, needs_hint=True) == "RefusedError without a hint"
    assert judged(tally, 5, b"x", lambda: time.sleep(0.02), limit_s=0.01) == "longer than 0.01 s"
    assert judged(tally, 6, b"x", crash, limit_s=1)
    assert (tally.cases, tally.crashes, tally.silent, tally.hangs) == (6, 2, 1, 1)
    assert [(finding.number, finding.size) for finding in tally.findings if finding.what == "crash"] == [(6, 1)]


@pytest.mark.slow
def test_a_run_is_kept_gone_on_with_and_ends_with_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept.json"
    asked = ["--cases", "2000", "--only", "files", "--seed", "3", "--json", str(kept)]
    first = CliRunner().invoke(program.app, asked)
    assert first.exit_code == 0, first.output
    [row] = msgspec.json.decode(kept.read_bytes(), type=program.Kept).rows
    assert (row.row, row.cases, row.bad) == ("files", 60, 0)
    assert row.peak_mb > 10
    monkeypatch.setattr(playing, "played", None)  # nothing is left to play
    assert CliRunner().invoke(program.app, asked).exit_code == 0
