"""`test`, `bench` and `faults`: the project's tests, its measurements and its faults, run as programs of their own."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from deploy.launch.plan import ROOT


def run_tests(
    args: Annotated[list[str] | None, typer.Argument(help="As pytest takes them.", metavar="ARGS")] = None,
) -> None:
    """Run the tests, or those that ARGS choose."""
    os.chdir(ROOT)  # tests are found, and their settings read, from the root of the project
    os.execv(sys.executable, (sys.executable, "-m", "pytest", *(args or ())))  # noqa: S606 - becomes the tests


def run_bench(
    args: Annotated[
        list[str] | None, typer.Argument(help="As `bench NAME --help` says.", metavar="NAME [ARGS]")
    ] = None,
) -> None:
    """Measure the bus beside its peers, what the ledger costs a call, how soon a halt holds, or all is back."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    os.execve(sys.executable, (sys.executable, "-m", "tests.bench", *(args or ())), environ)  # noqa: S606 - becomes the bench


def run_faults(
    args: Annotated[list[str] | None, typer.Argument(help="As `faults --help` says.", metavar="[ARGS]")] = None,
) -> None:
    """Break a factory of its own in many ways; exit code 1 when anything is lost or billed twice unsaid."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    os.execve(sys.executable, (sys.executable, "-m", "tests.faults", *(args or ())), environ)  # noqa: S606 - becomes the faults
