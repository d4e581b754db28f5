"""`test`, `bench`, `faults` and `fuzz`: the project's tests and trials, run as programs of their own."""

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
    _become("tests.bench", args)


def run_faults(
    args: Annotated[list[str] | None, typer.Argument(help="As `faults --help` says.", metavar="[ARGS]")] = None,
) -> None:
    """Break a factory of its own in many ways; exit code 1 when anything is lost or billed twice unsaid."""
    _become("tests.faults", args)


def run_fuzz(
    args: Annotated[list[str] | None, typer.Argument(help="As `fuzz --help` says.", metavar="[ARGS]")] = None,
) -> None:
    """Give broken input of every kind to whatever reads it; exit code 1 when anything crashes, hangs or is silent."""
    _become("tests.fuzz", args)


def _become(module: str, args: list[str] | None) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    os.execve(sys.executable, (sys.executable, "-m", module, *(args or ())), environ)  # noqa: S606 - from here on it is that program
