"""Starts factories of stand-in processes, and sees to it that nothing of them is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.deploy.standing import Up, nobody_left


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts factories; what they leave behind is a failure of the test that left it."""
    started: list[Up] = []

    def start(*behaviours: str, **environ: str) -> Up:
        folder = tmp_path / f"factory {len(started)}"
        folder.mkdir()
        started.append(Up(folder, behaviours or ("steady",), environ))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
    assert not nobody_left(tmp_path)
