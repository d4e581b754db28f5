"""Ports of this machine: which are free, and one clear line when one that is needed is not.

Free is a statement about this moment: another program may take the port before we do.
"""

from __future__ import annotations

import random
import socket

from schema.errors import ConfigurationError

_HOST = "127.0.0.1"
#: Below the range from which systems hand out ports by themselves, above those with well-known owners.
_LOWEST, _HIGHEST = 15_000, 32_000
_TRIES = 200
_PORTS, _STEP = 1 << 16, 100


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True


def next_free(port: int) -> int:
    """A free port above one that is not; 0 where none was found."""
    return next((other for other in range(port + _STEP, _PORTS, _STEP) if is_free(other)), 0)


def free_ports(count: int = 1) -> int:
    """The first of `count` free ports in a row, anywhere.

    Raises ConfigurationError when none are found.
    """
    for _ in range(_TRIES):
        first = random.randrange(_LOWEST, _HIGHEST - count)  # noqa: S311 - so that two at once rarely meet
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise ConfigurationError(f"no {count} free ports in a row between {_LOWEST} and {_HIGHEST}")
