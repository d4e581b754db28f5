from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from deploy.launch.plan import ROOT
from tests.bench.halt.gates import commands
from tests.bench.halt.slots import OPENED, SHUT, Slots, watched
from tests.integration.bench.test_bus import environ

BENCH = (sys.executable, "-m", "deploy", "bench", "halt")
SMALL = ("--processes", "12", "--rounds", "4", "--without-redis", "2", "--halts", "20", "--cycles", "5")

_GATE = """
from streams.gate import Gate
gate = Gate()
gate.set("halted")
gate.set("halted")
gate.set("open")
"""


def test_a_watched_process_notes_when_its_gate_shut_and_opened(tmp_path: Path) -> None:
    slots = Slots.make(tmp_path / "slots", 2)
    inside = ROOT / "tests" / "bench" / "halt" / "inside"
    told = {**environ(tmp_path), **watched(inside, tmp_path / "slots", 1, ROOT)}
    subprocess.run((sys.executable, "-c", _GATE), env=told, check=True, timeout=30)
    assert 0 < slots.read(1, SHUT) < slots.read(1, OPENED)
    assert slots.read(0, SHUT) == 0


def test_two_renders_and_every_guardian_are_among_the_watched() -> None:
    names = [command[-1] for command in commands(32)]
    assert len(names) == 32
    assert names.count("render") == 2
    assert {"integrity", "gpu", "stuck", "vitals", "control"} <= set(names)


def test_a_trial_that_there_is_not_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        (*BENCH, "--only", "speed"),
        env=environ(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "there is no trial speed" in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
def test_the_bench_measures_in_small_and_writes_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    command = (*BENCH, *SMALL, "--waiting", "50", "--watched", "1", "--json", str(path))
    done = subprocess.run(command, env=environ(tmp_path), capture_output=True, text=True, timeout=280, check=False)
    assert path.exists(), done.stderr
    rows = {row["row"]: row for row in msgspec.json.decode(path.read_bytes())}
    assert rows["halt to the gate of the last of 12 processes, p99, idle"]["value"] > 0
    assert rows["reservations sent after a halt was committed, 20 halts"]["ok"]
    assert rows["films under a name after a halt in their middle"]["ok"]
    assert rows["work lost over 5 halts and resumes"]["ok"]
    assert rows["stages begun or committed twice after two rebuilt at once"]["ok"]
    assert all(row["goal"] for row in rows.values())
    assert list(tmp_path.glob("ytempire-bench-*")) == []
