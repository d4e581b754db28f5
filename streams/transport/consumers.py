"""Consumer names: `<host>-<process>-<pid>-<8 hex>`, which read like a staff list and tell whether the process is dead.

The hexadecimal part stands for the place (this boot, this pid namespace: 5 digits) and for the time the process began
(3). So a process of the same place that is not there any more is known to be dead before its leases are over. Of other
hosts, of systems without /proc and of processes that are hidden from us nothing is known, and nothing is claimed.
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
#: A place mistaken for another is a living worker taken for dead, a time for another only a lease waited for.
_PLACE_DIGITS: Final = 5
_BEGAN_DIGITS: Final = 3
#: States of a process that has ended and was not yet waited for.
_ENDED: Final = ("Z", "X")
#: Transports of the same name in this process: only the first goes without a number.
_made: defaultdict[str, itertools.count[int]] = defaultdict(itertools.count)


def new_name(process: str) -> str:
    """A name for a consumer in this process that nobody else has."""
    pid = os.getpid()
    name = f"{socket.gethostname()}-{process}-{pid}-{_place()}{_began(pid) or _short('', _BEGAN_DIGITS)}"
    number = next(_made[name])
    return name if number == 0 else f"{name}.{number}"


def surely_dead(name: str) -> bool:
    """Whether the process of this consumer ran here and is gone; False where that cannot be known.

    A process that is stopped, or that hangs, is not dead: that is for its lease to say.
    """
    who, _, mark = name.rpartition("-")
    before, _, pid = who.rpartition("-")
    here = _place()
    if not (here and mark.startswith(here) and pid.isdigit() and before.startswith(f"{socket.gethostname()}-")):
        return False
    began = _began(int(pid))
    if began is None:
        return not _exists(int(pid))
    return began != mark[_PLACE_DIGITS : _PLACE_DIGITS + _BEGAN_DIGITS]


def _place() -> str:
    """This boot of this machine, and this namespace of process ids; empty where there is no telling."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii")
        return _short(boot + str((_PROC / "self/ns/pid").readlink()), _PLACE_DIGITS)
    except OSError:
        return ""


def _began(pid: int) -> str | None:
    """When the process began, shortened; empty where it has ended, None where it is not seen."""
    try:
        status = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # the second field is the program's name in parentheses, which may hold anything
    fields = status.rpartition(")")[2].split()
    return "" if fields[0] in _ENDED else _short(fields[19], _BEGAN_DIGITS)


def _exists(pid: int) -> bool:
    """Whether there is such a process, be it hidden from us: /proc may show each user only their own."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _short(text: str, digits: int) -> str:
    return hashlib.blake2s(text.encode()).hexdigest()[:digits]
