"""How commands speak: plain lines on standard output, one clear line on standard error when something is wrong.

Exit codes: 0 done, 1 it failed, 2 it was asked wrongly or cannot be used as it is set up, 130 interrupted.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from deploy.launch.data_directory import Addresses, addresses
from deploy.launch.plan import ROOT
from schema.errors import ConfigurationError, PipelineError, RefusedError
from schema.settings import environment

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Data directory; else YTEMPIRE_DATA_DIR, else ./data.", metavar="DIR"),
]

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line, for a program to read.")]


def guarded(command: Callable[[], object]) -> int:
    """Run a command line to its end; returns its exit code, and says in one line what was wrong."""
    try:
        code = command()
    except PipelineError as error:
        complain(str(error), error.hint)
        return MISUSED if isinstance(error, (ConfigurationError, RefusedError)) else FAILED
    except BrokenPipeError:  # the reader has seen enough, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def complain(message: str, hint: str = "") -> None:
    """Say what is wrong, and what to do, on standard error."""
    print(f"ytempire: {message}", file=sys.stderr)
    if hint:
        print(f"  try: {hint}", file=sys.stderr)


def seconds(text: str, option: str) -> float:
    """A time such as `90s`, `15m`, `2h`, `3d`; raises RefusedError, naming the option, for anything else."""
    if (found := re.fullmatch(r"([0-9]{1,6})([smhd])", text)) is None:
        raise RefusedError(f"{option} is {text!r}: expected a time such as 90s, 15m, 2h or 3d", hint="2h")
    return float(found[1]) * _UNITS_S[found[2]]


def data_dir(chosen: Path | None) -> Path:
    """The data directory that was asked for, absolute."""
    return (chosen or Path(environment.read().servers.data_dir)).absolute()


def running_factory(chosen: Path | None) -> Addresses:
    """Where the servers are: as the environment says, else as the factory of the data directory wrote down.

    Raises ConfigurationError when no factory runs there and nothing was set.
    """
    servers = environment.read().servers
    found = addresses(data_dir(chosen))
    redis_url = servers.redis_url or (found.redis_url if found else "")
    database_url = servers.database_url or (found.database_url if found else "")
    if not redis_url or not database_url:
        raise ConfigurationError(
            f"no factory runs on the data directory {data_dir(chosen)}",
            hint=f"{ROOT / 'ytempire'} up, or --data DIR, or set REDIS_URL and DATABASE_URL",
        )
    return Addresses(found.pid if found else 0, redis_url, database_url)
