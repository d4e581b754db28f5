from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.__main__ import app
from deploy.commands.terminal import FAILED, MISUSED, guarded
from deploy.launch.plan import ROOT
from schema.errors import ConfigurationError, PipelineError, RefusedError

RUNNER = CliRunner()
CONTROL = ("halt", "pause", "resume", "mode", "cancel", "retry", "requeue")
DAY = ("check", "monitor", "wrap", "report", "chores", "alert")


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("m", hint="h"), MISUSED),
        (RefusedError("m", hint="h"), MISUSED),
        (PipelineError("m", hint="h"), FAILED),
    ],
)
def test_an_error_of_ours_is_one_line_a_hint_and_a_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(lambda: _raise(error)) == code
    assert capsys.readouterr().err == "ytempire: m\n  try: h\n"


def test_what_a_command_returns_is_the_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in {"REDIS_URL": "", "DATABASE_URL": "", "YTEMPIRE_ALERTS_TO": ""}.items():
        monkeypatch.setenv(name, text)
    assert RUNNER.invoke(app, ["alert", "it burns", "--data", str(tmp_path)]).exit_code == FAILED


def test_every_command_says_what_it_does() -> None:
    shown = RUNNER.invoke(app, ["--help"]).output
    for command in ("demo", "up", "env", "cli", "submit", "status", "videos", *CONTROL, *DAY, "doctor", "test"):
        line = next(line for line in shown.splitlines() if line.startswith(f"  {command} "))
        assert line.rstrip().endswith("."), line
        assert RUNNER.invoke(app, [command, "--help"]).exit_code == 0


def test_a_demo_on_a_topic_without_notes_names_the_samples_there_are(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["demo", "Why nobody wrote about this", "--out", str(tmp_path)])
    assert isinstance(done.exception, RefusedError)
    assert "--notes FILE" in done.exception.hint
    assert '"Why octopuses have three hearts"' in done.exception.hint


def test_notes_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["demo", "x", "--notes", str(tmp_path / "none.md")])
    assert isinstance(done.exception, ConfigurationError)
    assert f"the notes {tmp_path / 'none.md'} cannot be read" in str(done.exception)


def test_the_arguments_of_redis_cli_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []

    def main(args: list[str], _: str) -> int:
        given.append(args)
        return 0

    monkeypatch.setenv("REDIS_URL", "redis://r")
    monkeypatch.setenv("DATABASE_URL", "postgresql://p")
    monkeypatch.setattr("deploy.commands.redis_cli.main", main)
    RUNNER.invoke(app, ["cli", "-n", "1", "XADD", "stream:intake", "*", "topic", "--help"])
    assert given == [["-n", "1", "XADD", "stream:intake", "*", "topic", "--help"]]


def test_a_command_loads_no_client_of_redis_before_it_needs_one() -> None:
    heavy = ("redis", "dramatiq", "numpy")
    program = f"import sys, deploy.__main__; print([name for name in {heavy} if name in sys.modules])"
    command = (sys.executable, "-c", program)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"  # a halt that the record takes first waits for none of them
