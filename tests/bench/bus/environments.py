"""An environment for each peer, from its own lock file, made on first use under `.tools/bench`.

Nothing of a peer's is ever in the project's environment. Making one needs the network; using it does not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from deploy.launch.plan import ROOT
from tests.bench.bus.peers import Peer

_TOOLS: Final = ROOT / ".tools"
_PATIENCE_S: Final = 300.0


class PeerUnavailableError(Exception):
    """A peer that cannot run here; the message says why."""


def bin_folder(peer: Peer) -> Path:
    """Where its commands are, made first if need be; raises PeerUnavailableError."""
    if not peer.own_environment:
        return Path(sys.executable).parent
    environment = _TOOLS / "bench" / peer.folder
    command = (_uv(), "sync", "--frozen", "--quiet", "--project", _folder(peer))
    settings = {"UV_PROJECT_ENVIRONMENT": str(environment), "UV_PYTHON_DOWNLOADS": "never"}
    if not (environment / "bin" / "python").exists():
        settings["UV_PYTHON"] = sys.executable
    inherited = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    try:
        done = subprocess.run(
            command, env={**inherited, **settings}, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PeerUnavailableError(f"its packages were not installed within {_PATIENCE_S:g} s") from error
    if done.returncode != 0:
        last_line = (done.stderr.strip().splitlines() or ["uv said nothing"])[-1].strip()
        raise PeerUnavailableError(f"its packages cannot be installed (is there a network?): {last_line}")
    return environment / "bin"


def versions(peer: Peer) -> str:
    """What it was measured as, by its lock file."""
    lock = tomllib.loads((_folder(peer) / "uv.lock").read_text(encoding="utf-8"))
    locked = {package["name"]: package["version"] for package in lock["package"]}
    return ", ".join(f"{name} {locked[name]}" for name in peer.packages)


def _folder(peer: Peer) -> Path:
    return ROOT / "tests" / "bench" / "peers" / peer.folder if peer.own_environment else ROOT


def _uv() -> str:
    own = _TOOLS / "bin" / "uv"
    found = str(own) if own.exists() else shutil.which("uv")
    if found is None:
        raise PeerUnavailableError(f"there is no uv: ./ytempire installs it to {own}")
    return found
