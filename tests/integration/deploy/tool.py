"""Tools of Prometheus, where this machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def found(name: str) -> str:
    """Where a tool is; without it the test is left out on a laptop, and fails where all tests must run."""
    path = shutil.which(name)
    if path is None:
        assert not os.environ.get("CI"), f"{name} is not installed"
        pytest.skip(f"{name} is not installed: apt-get install prometheus prometheus-alertmanager")
    return path


def says(name: str, *arguments: str | Path, stdin: str = "") -> str:
    """What a tool that succeeds says."""
    done = subprocess.run(
        [found(name), *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
