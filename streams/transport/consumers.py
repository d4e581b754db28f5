"""Consumer names: `<host>-<process>-<pid>-<8 hex>`, which read like a staff list and tell whether the process is dead.

The hexadecimal part stands for the place (this boot, this pid namespace) and for the time the process began. So a
process of the same place that is not there any more is known to be dead before its leases are over. Of other hosts and
of systems without /proc nothing is known, and nothing is claimed.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
from collections import defaultdict
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_DIGITS: Final = 4
#: States of a process that has ended and was not yet waited for.
_ENDED: Final = ("Z", "X")
#: Transports of the same name in this process: only the first goes without a number.
_made: defaultdict[str, itertools.count[int]] = defaultdict(itertools.count)


def new_name(process: str) -> str:
    """A name for a consumer in this process that nobody else has."""
    pid = os.getpid()
    name = f"{socket.gethostname()}-{process}-{pid}-{_place()}{_began(pid) or _short('')}"
    number = next(_made[name])
    return name if number == 0 else f"{name}.{number}"


def surely_dead(name: str) -> bool:
    """Whether the process of this consumer ran here and is gone; False where that cannot be known."""
    who, _, mark = name.rpartition("-")
    before, _, pid = who.rpartition("-")
    here = _place()
    if not (here and mark.startswith(here) and pid.isdigit() and before.startswith(f"{socket.gethostname()}-")):
        return False
    return _began(int(pid)) != mark[_DIGITS : 2 * _DIGITS]


def _place() -> str:
    """This boot of this machine, and this namespace of process ids; empty where there is no telling."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii")
        return _short(boot + str((_PROC / "self/ns/pid").readlink()))
    except OSError:
        return ""


def _began(pid: int) -> str:
    """When the process began, shortened; empty where it is not there, or has ended."""
    try:
        status = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # the second field is the program's name in parentheses, which may hold anything
    fields = status.rpartition(")")[2].split()
    return "" if fields[0] in _ENDED else _short(fields[19])


def _short(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=_DIGITS // 2).hexdigest()
