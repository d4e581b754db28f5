from __future__ import annotations

import os
import shutil

import pytest

from streams.transport import consumers
from tests.integration.processes import Processes


async def test_two_with_one_process_id_on_a_shared_disk_do_not_take_each_others_scratch(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in two containers: each has a 1, and each is the only one that it sees."""
    here = await processes("render")
    mine = here.scratch()
    died_here = mine.parent.with_name(here.transport.consumer.replace(f"-{os.getpid()}-", f"-{1 << 30}-"))
    died_here.mkdir()
    monkeypatch.setattr(consumers, "_place", lambda: "other")
    there = await processes("render")
    theirs = there.scratch()
    assert mine.is_dir()
    assert died_here.is_dir(), "who cannot see it cannot know that it is dead"
    await there.close()
    assert not theirs.exists()
    assert mine.is_dir()
    monkeypatch.undo()
    assert (await processes("render")).scratch().is_dir()
    assert not died_here.exists()
    # tidied up while it had nothing to do
    shutil.rmtree(mine.parent)
    assert here.scratch().is_dir()
