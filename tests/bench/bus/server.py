"""The server of a trial: the Valkey we ship, or the Redis that a machine has, with the very same options."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec

from deploy.launch import valkey
from deploy.launch.program import Program
from schema.errors import ConfigurationError


def program(server: str, folder: Path, port: int) -> Program:
    """Our own Valkey, or the Redis on PATH with the very same options."""
    ours = valkey.valkey(folder, port)
    if server == "valkey":
        return ours
    theirs = shutil.which("redis-server")
    if theirs is None:
        raise ConfigurationError("there is no redis-server on PATH", hint="apt-get install redis-server")
    return msgspec.structs.replace(ours, name="redis", argv=(theirs, *ours.argv[1:]))


def version(server: str) -> str:
    """What the server says about itself."""
    command = (program(server, Path(), 1).argv[0], "--version")
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    return " ".join(word for word in said.split()[:3] if word != "server")
