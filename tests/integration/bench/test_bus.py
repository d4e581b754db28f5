from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from deploy.launch.plan import ROOT

BENCH = (sys.executable, "-m", "deploy", "bench", "bus", "--rounds", "1", "--memory", "1000")


def environ(temporary: Path) -> dict[str, str]:
    """Servers and notes of this test's own."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}


@pytest.mark.slow
def test_the_bench_measures_and_writes_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    command = (*BENCH, "--jobs", "12000", "--only", "ours,bare,ceiling", "--json", str(path))
    done = subprocess.run(command, env=environ(tmp_path), capture_output=True, text=True, timeout=250, check=False)
    rows = {row["row"]: row for row in msgspec.json.decode(path.read_bytes())}
    by_rounds = [row for name, row in rows.items() if "/ free-broker ceiling" in name or "/ bare" in name]
    assert done.returncode == 1, done.stderr  # without any peer nobody can be the best
    assert [row["value"] > 0 for row in by_rounds] == [True] * 3
    assert rows["jobs/s, enqueue excluded / best peer"]["note"] == "no figure of any peer (none was run)"
    assert rows["starts of a 12 s job, 1 s lease, two workers, traffic"]["ok"]
    assert rows["commands a second of an idle worker, those inside scripts included"]["value"] > 0
    assert "worker CPU" in done.stdout
    assert list(tmp_path.glob("ytempire-bench-*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bench_leaves_no_process(tmp_path: Path, told: signal.Signals) -> None:
    command = (*BENCH, "--jobs", "100000", "--only", "ours")
    with subprocess.Popen(command, env=environ(tmp_path), stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout is not None
        assert "round 1" in bench.stdout.readline()
        server_and_producer: list[psutil.Process] = []
        while len(server_and_producer) < 2:
            server_and_producer = psutil.Process(bench.pid).children(recursive=True)
        bench.send_signal(told)
        assert bench.wait(20) == 130
    _, alive = psutil.wait_procs(server_and_producer, timeout=5)
    assert alive == []
    assert list(tmp_path.glob("ytempire-bench-*")) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "nobody"], "there is no peer nobody"),
        (["--only", "ours", "--server", "redis"], "there is no redis-server on PATH"),
    ],
)
def test_what_cannot_be_measured_is_named(tmp_path: Path, arguments: list[str], said: str) -> None:
    told = {**environ(tmp_path), "PATH": str(tmp_path)}
    done = subprocess.run((*BENCH, *arguments), env=told, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
