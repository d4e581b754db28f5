"""What a child does to itself between fork and exec: dies with its parent, leaves no core, gives up root.

Everything here runs in the child, holds no lock and starts nothing. Both need Linux; elsewhere a child that outlives a
killed parent has to be ended by hand, and root cannot run Postgres.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

#: linux/prctl.h, linux/sched.h and linux/capability.h
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CLONE_NEWUSER = 0x10000000
_CAPABILITY_VERSION_3, _CAP_DAC_OVERRIDE = 0x20080522, 1
#: The user and group `nobody` of every Linux.
_NOBODY = 65534

_LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None, use_errno=True) if _LINUX else None


def nothing() -> None:
    """Changes nothing: the child keeps the rights of its parent."""


def die_with_parent(sent: signal.Signals, parent_pid: int) -> None:
    """Ask the kernel for `sent` when the parent's thread that forked us ends; comes after any change of user."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(sent), 0, 0, 0)
        if os.getppid() != parent_pid:
            os._exit(1)  # it died before we asked


def leave_no_core() -> None:
    """A crash writes no copy of the memory, keys and all, to the disk; a handler that the system pipes to may still."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def enter_user_namespace() -> None:
    """Become user 65534 inside a new user namespace: outside, files are still made and owned by root."""
    if _LIBC is None:
        raise OSError("user namespaces need Linux")
    if _LIBC.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "user namespaces are not allowed here")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{_NOBODY} 0 1"), ("gid_map", f"{_NOBODY} 0 1")):
        Path("/proc/self", name).write_text(text, encoding="ascii")


def become_nobody() -> None:
    """Become the user nobody, still able to pass folders that only root may enter, such as root's home.

    The one capability it keeps is the way through such folders; where that is refused too, it is a plain nobody.
    """
    if _LIBC is None:
        raise OSError("changing to the user nobody needs Linux")
    _LIBC.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    kept = 1 << _CAP_DAC_OVERRIDE
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)
    if _LIBC.capset(header, effective_permitted_inheritable) == 0:
        _LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def give_to_nobody(folder: Path) -> None:
    """Make `folder` and all below it nobody's own, as `become_nobody` needs it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
