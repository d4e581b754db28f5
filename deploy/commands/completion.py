"""`completion`: prints what a shell needs to complete our commands; `--install-completion` puts it where it belongs."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final

import typer

from deploy.launch.plan import ROOT
from schema.errors import RefusedError

_SHELLS: Final = ("bash", "zsh", "fish")


def completion(shell: Annotated[str, typer.Argument(help="bash, zsh or fish.", metavar="SHELL")] = "bash") -> None:
    """Print the completion of a shell.

    Such as: eval "$(./ytempire completion bash)". To keep it: ./ytempire --install-completion
    """
    if shell not in _SHELLS:
        raise RefusedError(
            f"there is no completion for {shell!r}: expected {', '.join(_SHELLS)}", hint="completion bash"
        )
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "_YTEMPIRE_COMPLETE": f"source_{shell}"}
    os.execve(sys.executable, (sys.executable, "-m", "deploy"), environ)  # noqa: S606 - typer prints it, asked like this
