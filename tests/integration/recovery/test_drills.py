"""Whole factories that lose everything, and come back by the product's own commands."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from deploy.launch.plan import ROOT
from tests.bench import recovery
from tests.factory.running import STUBS, Factory, factory

DRILL = STUBS.with_name("Procfile.drill")
NOTES = "Rivers carry more than water. " * 12
SLOW_STAGES = {"STUB_STAGE_S": "1.0"}


@pytest.mark.slow
def test_a_record_is_taken_back_to_a_moment_and_a_machine_that_is_gone_is_recovered_with_its_work_in_flight(
    tmp_path: Path,
) -> None:
    with factory(tmp_path / "first", procfile=DRILL, environ=SLOW_STAGES) as running:
        _command(running, "backup", "--class", "daily")
        kept = running.receipt(running.submit(topic="Kept", notes=NOTES))["video"]
        running.until(lambda: running.statuses() == {"completed": 1})
        moment = datetime.now(UTC)
        wrong = running.receipt(running.submit(topic="Regretted", notes=NOTES))["video"]
        running.stop(signal.SIGINT)
        said = _command(running, "restore", "--to", moment.isoformat())
        assert json.loads(said[-1])["to"] == moment.isoformat()
        running.start()
        assert {video for (video,) in running.rows("SELECT id FROM video_queue")} == {kept}
        assert wrong not in (kept, "")

        running.receipt(running.submit(topic="In flight", notes=NOTES))
        running.until(lambda: running.started("media", 1))
        made = json.loads(_command(running, "backup")[-1])
        assert made["rows"] > 0
        shutil.copytree(tmp_path / "first/backups", tmp_path / "elsewhere")
        children = running.children()
        running.stop(signal.SIGKILL)
        psutil.wait_procs(children, timeout=30)
    shutil.rmtree(tmp_path / "first")

    back = Factory(tmp_path / "second", procfile=DRILL, environ=SLOW_STAGES)
    try:
        back.start("recover", "--from", str(tmp_path / "elsewhere"))
        assert [line for line in back.said if "✗" in line] == []
        assert any("recovered and validated in" in line for line in back.said)
        back.until(lambda: back.statuses() == {"completed": 2})
        validated = _command(back, "validate")
        assert all(json.loads(line)["ok"] for line in validated)
        assert back.stop() == 0
    finally:
        if back.process is not None and back.process.poll() is None:
            back.process.kill()
        back.close()


@pytest.mark.slow
def test_a_broken_record_is_restored_under_a_running_factory_and_no_accepted_request_is_lost(tmp_path: Path) -> None:
    with factory(tmp_path, procfile=DRILL, environ={"STUB_STAGE_S": "0.3"}) as running:
        asked = recovery.Asked(running)
        rows = list(recovery.corruption(running, asked, recovery.Options(requests=2), print))
        assert [row.ok for row in rows] == [True, True]
        assert asked.lost(running, 0.0) == (0, 0.0)


def _command(running: Factory, *asked: str) -> list[str]:
    """The lines of another command of the same user."""
    command = (sys.executable, "-m", "deploy", *asked, "--json", "--data", str(running.folder))
    done = subprocess.run(
        command, env=running.environ, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
