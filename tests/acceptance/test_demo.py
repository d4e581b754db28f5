"""The first promise: one command on a bare machine, one film, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from deploy.launch.plan import ROOT
from tests.integration.deploy.standing import nobody_left

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _set_up() -> None:
    """What the launcher installs first is not the demo's."""
    subprocess.run((ROOT / "ytempire", "--help"), check=True, capture_output=True, timeout=280)


def _demo(folder: Path, *args: str) -> subprocess.Popen[str]:
    temporary = folder / "temporary"
    temporary.mkdir()
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("YTEMPIRE_", "REDIS", "DATABASE"))
    }
    return subprocess.Popen(
        (ROOT / "ytempire", "demo", "--out", "films", *args),
        cwd=folder,
        env={**clean, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_one_command_makes_one_film_and_leaves_nothing_else(tmp_path: Path) -> None:
    with _demo(tmp_path, "--length", "12s") as demo:
        out, errors = demo.communicate(timeout=280)
    assert demo.returncode == 0, out + errors
    film = tmp_path / "films" / "why-octopuses-have-three-hearts.mp4"
    assert out.splitlines()[-1] == f"video: {film}"
    assert film.read_bytes()[4:8] == b"ftyp"
    assert [path.name for path in (tmp_path / "films").iterdir()] == [film.name]
    assert not list((tmp_path / "temporary").iterdir())
    assert not nobody_left(tmp_path)


def test_ctrl_c_ends_it_without_a_trace(tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        assert demo.stdout is not None
        assert any(line.startswith("script") for line in demo.stdout)
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (130, "")
    assert not list((tmp_path / "films").iterdir())
    assert not list((tmp_path / "temporary").iterdir())
    assert not nobody_left(tmp_path)
