from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploy.launch import output
from deploy.launch.output import Output


def test_the_log_is_turned_over_at_its_bound_and_one_older_part_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_LOG_MAX_BYTES", 100)
    with Output(tmp_path / "pipeline.log", echo=False) as log:
        for number in range(12):
            log.line("a", f"line {number}")
    assert "line 11\n" in (tmp_path / "pipeline.log").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipeline.1.log", "pipeline.log"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())


def test_a_screen_that_went_away_does_not_stop_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, _: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    with Output(tmp_path / "pipeline.log", echo=True) as log:
        log.line("a", "first")
        log.line("a", "second")
    assert (tmp_path / "pipeline.log").read_text() == "a         | first\na         | second\n"


def test_a_full_disk_loses_lines_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(Path("/dev/full"), echo=True) as log:
        log.line("a", "first")
    assert capsys.readouterr().out == "a         | first\n"
