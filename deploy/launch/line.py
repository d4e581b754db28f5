"""`python -m deploy.launch.line NAME`: becomes that line of the Procfile, with the metrics port that is its own.

For those who start the processes one by one, as systemd, compose and supervisor do: what a line runs, and which port it
has, is said in the Procfile alone. It keeps nothing running and starts no server. `--answers` asks instead whether the
process that runs here answers, and says so by its exit code.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence

import msgspec

from deploy.launch import procfile
from deploy.launch.plan import PROCFILE, ROOT
from deploy.launch.probes import exporter_answers
from schema.errors import ConfigurationError, PipelineError
from schema.settings import environment


class Start(msgspec.Struct, frozen=True):
    """What to run, and in which environment."""

    argv: tuple[str, ...]
    environ: dict[str, str]
    host: str
    port: int


def start_of(name: str, environ: Mapping[str, str]) -> Start:
    """How the line `name` starts.

    Raises ConfigurationError when the Procfile has no such line, or this host does not run it, and as the settings do.
    """
    servers = environment.read(environ).servers
    lines = procfile.read(PROCFILE)
    names = [line.name for line in lines]
    if name not in names:
        raise ConfigurationError(f"the Procfile has no line {name!r}", hint=f"it has {', '.join(names)}")
    here = [line.name for _, line in procfile.share(lines, servers.actors)]
    if name not in here:
        raise ConfigurationError(
            f"this host does not run {name}: YTEMPIRE_ACTORS is {', '.join(here)}",
            hint=f"add {name} to it, or take it out",
        )
    place = names.index(name)
    port = servers.metrics_port + place
    added = {"YTEMPIRE_METRICS_PORT": str(port), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    # the runtime of the local voice would report to its maker
    added |= {"ORT_DISABLE_TELEMETRY": "1"}
    return Start(lines[place].argv, {**environ, **added}, servers.metrics_host, port)


def main(arguments: Sequence[str]) -> int:
    """Become the line, which never returns, or ask it; returns the exit code of everything else."""
    name, *others = arguments or ("",)
    try:
        start = start_of(name, os.environ)
        if others == ["--answers"]:
            return 0 if asyncio.run(exporter_answers(start.port, start.host)) else 1
        if others:
            raise ConfigurationError(f"got {' '.join(others)!r}", hint="expected NAME or NAME --answers")
    except PipelineError as error:
        print(f"{error}  ({error.hint})", file=sys.stderr)
        return 2
    _become(start)
    return 2


def _become(start: Start) -> None:
    os.execvpe(start.argv[0], start.argv, start.environ)  # noqa: S606 - the Procfile's own words, no shell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
