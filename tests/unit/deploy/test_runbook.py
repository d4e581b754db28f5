"""Every script that the runbook names is there, and calls only commands that there are."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest
import typer

from deploy.__main__ import app
from deploy.launch.plan import ROOT

FOLDER = ROOT / "deploy" / "runbook"
#: As the runbook names them.
NAMES = (
    "backup_strategy.sh",
    "data_integrity_check.py",
    "data_recovery.sh",
    "emergency_restart.sh",
    "evening_wrap.sh",
    "fix_data_inconsistencies.sql",
    "fix_db_connections.py",
    "full_recovery.sh",
    "generate_daily_report.py",
    "gpu_optimization.py",
    "gpu_recovery.py",
    "hourly_monitor.py",
    "identify_bottleneck.py",
    "morning_check.sh",
    "optimize_costs.py",
    "optimize_pipeline.py",
    "performance_config.py",
    "restart_queue.py",
    "send_critical_alert.sh",
    "send_daily_summary.py",
    "validate_recovery.py",
)
COMMANDS = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # it is a group


def calls(script: Path) -> list[str]:
    """The commands of ours that a script calls."""
    text = script.read_text("utf-8")
    if script.suffix == ".py":
        (made,) = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.AnnAssign)]
        assert made.value is not None
        return [command[0] for command in ast.literal_eval(made.value)]
    return re.findall(r'(?:"\$ytempire"|^[0-9* ]+ \$ytempire) ([a-z]+)', text, re.MULTILINE)


def test_the_folder_holds_what_the_runbook_names_and_nothing_else() -> None:
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_file()) == sorted(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith(".sql")])
def test_a_script_can_be_run_and_calls_commands_that_exist(name: str) -> None:
    script = FOLDER / name
    assert os.access(script, os.X_OK)
    called = calls(script)
    assert called
    assert not set(called) - COMMANDS
