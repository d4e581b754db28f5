"""`python -m tests.faults.through PORT=OTHER PORT=OTHER -- COMMAND`: the command, which finds its servers elsewhere.

In REDIS_URL and DATABASE_URL each port is replaced by the other one, where a proxy stands in front of the server. The
command takes this process's place, so whoever looks for it finds it as if it had been started by itself. `python` is
this Python.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

_ADDRESSES = ("REDIS_URL", "DATABASE_URL")


def led(environ: Mapping[str, str], ports: Mapping[int, int]) -> dict[str, str]:
    """The environment with other ports of this machine in both addresses."""
    found = dict(environ)
    for name in _ADDRESSES:
        for port, other in ports.items():
            found[name] = found[name].replace(f"127.0.0.1:{port}/", f"127.0.0.1:{other}/")
    return found


def main(words: Sequence[str]) -> None:
    """Become the command; never returns."""
    middle = words.index("--")
    pairs = (word.split("=") for word in words[:middle])
    ports = {int(port): int(other) for port, other in pairs}
    command = [sys.executable if word == "python" else word for word in words[middle + 1 :]]
    os.execvpe(command[0], command, led(os.environ, ports))  # noqa: S606 - words of ours, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
