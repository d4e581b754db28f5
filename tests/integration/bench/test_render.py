from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.bench.render.running import ContestantError, run
from tests.integration.bench.test_bus import environ

BENCH = (sys.executable, "-m", "deploy", "bench", "render")


@pytest.mark.slow
def test_the_bench_makes_small_films_and_writes_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    told = ("--tiny", "--rounds", "2", "--only", "still", "--contestants", "ours,bare", "--json", str(path))
    done = subprocess.run(
        (*BENCH, *told), env=environ(tmp_path), capture_output=True, text=True, timeout=200, check=False
    )
    assert path.exists(), done.stderr
    rows = {row["row"]: row for row in msgspec.json.decode(path.read_bytes())}
    assert done.returncode == 1, done.stderr  # nobody ran ffmpeg, and two seconds are mostly a start
    assert 0 < rows["still, 720p30: CPU of the bare encode / ours, floor"]["value"] < 1
    wall = rows["still, 720p30: wall of ours / the ffmpeg command line, floor"]
    assert (wall["value"], wall["note"]) == (None, "no figure of ffmpeg (it was not run)")
    assert rows["still: peak, ours beside all"]["value"] > 50
    assert rows["still: mastering"]["value"] > 0
    left = {name.removeprefix("still: left, "): row["value"] for name, row in rows.items() if "left, " in name}
    assert {"compositor", "captions and cards", "pictures", "AAC", "mux", "hand-over and the rest"} <= set(left)
    assert left["compositor"] > 0
    assert "no longer there" not in done.stdout
    assert list(tmp_path.glob("ytempire-bench-*")) == []


@pytest.mark.slow
def test_cpu_and_memory_of_all_processes_are_counted(tmp_path: Path) -> None:
    child = "b = b'x' * 80_000_000\nimport time\nwhile time.process_time() < 0.5: pass"
    parent = (
        f"import subprocess, sys\na = b'x' * 80_000_000\nsubprocess.run((sys.executable, '-c', {child!r}), check=True)"
    )
    used = run((sys.executable, "-c", parent), tmp_path, within_s=60).used
    assert 0.5 <= used.cpu_s < 2
    assert used.wall_s >= 0.5
    assert used.peak_mb > 160
    with pytest.raises(ContestantError, match="ZeroDivisionError"):
        run((sys.executable, "-c", "1 / 0"), tmp_path, within_s=60)
    with pytest.raises(ContestantError, match="did not end within"):
        run((sys.executable, "-c", "input()"), tmp_path, within_s=0.5)
