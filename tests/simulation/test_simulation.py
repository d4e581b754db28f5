"""Seeds of the simulation: few every day, a thousand when there is time; and that it can be believed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.__main__ import main
from tests.simulation.mutations import MUTATIONS, Mutation, found
from tests.simulation.playing import play, told

_EVERYDAY = range(50)
#: The thousand are played by `python -m tests.simulation`.
_SHARES = [range(start, start + 100) for start in range(50, 450, 100)]
_ROOT = Path(__file__).parents[2]
#: A storm of all kinds, and a calm day.
_TWO = (132, 130)


@pytest.mark.parametrize("share", [_EVERYDAY[start::10] for start in range(10)], ids=lambda share: str(share[0]))
def test_promises_hold_whatever_happens(share: range) -> None:
    """Every tenth seed of fifty, so that no test is long."""
    broken = [told(played) for seed in share if (played := play(seed)).broken]
    assert not broken, "\n".join(broken)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", _SHARES, ids=lambda seeds: f"from {seeds[0]}")
def test_promises_hold_in_four_hundred_storms(seeds: range) -> None:
    """A quarter each."""
    broken = [told(played) for seed in seeds if (played := play(seed)).broken]
    assert not broken, "\n".join(broken)


def test_a_seed_is_the_same_in_every_process() -> None:
    """Whatever the hashes of strings are."""
    program = f"from tests.simulation.playing import play; print([play(seed).digest for seed in {_TWO}])"
    environ = {**os.environ, "PYTHONHASHSEED": "1"}  # here it is another one
    command = [sys.executable, "-c", program]
    there = subprocess.run(command, cwd=_ROOT, env=environ, check=True, capture_output=True, text=True).stdout
    assert there == f"{[play(seed).digest for seed in _TWO]}\n"


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_guard_is_missed_when_it_is_gone(mutation: Mutation) -> None:
    """By the invariant that it stands for."""
    assert found(mutation, range(300)) is not None, f"nothing notices that this is missing: {mutation.removes}"


def test_a_red_seed_is_told_with_the_command_that_plays_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    """On a factory that asks no ledger."""
    assert main(["--seeds", "1", "--mutate", "no reservation"]) == 1
    said = capsys.readouterr().out
    assert "I4: a charge without a record" in said
    assert "python -m tests.simulation --seed 0 --mutate 'no reservation' --trace" in said
