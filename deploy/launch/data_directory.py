"""The folder that holds everything a factory keeps: one factory at a time, writable, with room on its disk.

Whoever holds it writes down where its servers are, so that other commands find them. The hold is the kernel's: it ends
with the process, however that ends. It does not reach to other machines that share the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from schema.errors import ConfigurationError

_FILE = "factory.json"
#: Room for the servers' first files and one film.
_LEAST_FREE_BYTES = 300 << 20


class Addresses(msgspec.Struct, frozen=True):
    """Where the servers of the factory that runs are."""

    pid: int
    redis_url: str
    database_url: str
    #: Where it keeps its backups, for commands in a shell without its settings; empty: beside its data.
    backups_dir: str = ""


class Hold(msgspec.Struct, frozen=True):
    """The data directory, held; `was_killed` tells that its last factory did not end by itself."""

    path: Path
    was_killed: bool

    def tell(self, redis_url: str, database_url: str, backups_dir: str = "") -> None:
        """Write down where the servers are, and the backups."""
        addresses = Addresses(os.getpid(), redis_url, database_url, backups_dir)
        (self.path / _FILE).write_bytes(msgspec.json.encode(addresses) + b"\n")


@contextlib.contextmanager
def held(path: Path) -> Iterator[Hold]:
    """Hold a data directory, making it where it is missing.

    Raises ConfigurationError when it cannot be written, when its disk is full and when another factory holds it.
    """
    path = path.absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / _FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"the data directory {path} cannot be written: {error.strerror}",
            hint="choose another one with --data DIR or YTEMPIRE_DATA_DIR",
        ) from error
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _already_held(path) from None
        refuse_full_disk(path)
        try:
            yield Hold(path, was_killed=bool(file.read()))
        finally:
            file.truncate(0)


def addresses(path: Path) -> Addresses | None:
    """Where the servers of the factory on this data directory are; None when none runs."""
    with contextlib.suppress(OSError, OverflowError, msgspec.DecodeError, UnicodeDecodeError):
        found = msgspec.json.decode((path / _FILE).read_bytes(), type=Addresses)
        os.kill(found.pid, 0)
        return found
    return None


def _already_held(path: Path) -> ConfigurationError:
    other = addresses(path)
    who = f" (process {other.pid})" if other else ""
    return ConfigurationError(
        f"a factory already runs{who} on the data directory {path}",
        hint="end it first, or start another one with --data DIR",
    )


def refuse_full_disk(path: Path) -> None:
    """Raise ConfigurationError when the disk of `path` has no room for a factory."""
    free_bytes = shutil.disk_usage(path).free
    if free_bytes < _LEAST_FREE_BYTES:
        raise ConfigurationError(
            f"the disk of {path} has {free_bytes >> 20} MiB free, a factory needs {_LEAST_FREE_BYTES >> 20} MiB",
            hint="make room, or choose another disk with --data DIR",
        )
