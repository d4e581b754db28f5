"""One process of fakes for each process of tests; each test begins with no orders and an empty view of the ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fakes.running import Fakes, running

#: Runs against a program that is no package of ours, where one is named.
collect_ignore = [] if os.environ.get("AIMOCK") else ["test_peer.py"]


@pytest.fixture(scope="session")
def fakes_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fakes]:
    """The session's fakes."""
    with running(tmp_path_factory.mktemp("fakes")) as fakes:
        yield fakes


@pytest.fixture
def fakes(fakes_process: Fakes) -> Fakes:
    """Fakes that behave until they are told otherwise."""
    fakes_process.forget()
    return fakes_process
