"""Tells whoever supervises this process, by systemd's protocol, that it is ready, that it still consumes, that it ends.

No timer and no thread speaks here: a sign of life is sent from the very loop that consumes or ticks, so one that hangs
falls silent and is ended. Waiting for a server that is away is no hang, since a restart would cure nothing; while a
process does only that, it cannot be told from one that hangs elsewhere. Nobody listening costs one comparison.

The protocol is sd_notify(3): a datagram of `NAME=VALUE` lines to the socket that NOTIFY_SOCKET names.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping
from time import monotonic
from typing import Final

#: Signs of life in the time after which a silent process is ended.
_SIGNS: Final = 4
#: What a start that waits for a server asks for, each time it has looked in vain.
_MORE_TIME_S: Final = 30


class Watchdog:
    """The supervisor of this process, if there is one that listens. Thread-safe; no method ever raises or waits."""

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        """Takes the supervisor's address out of the environment: a child shall not speak in our name."""
        environ = os.environ if environ is None else environ
        self._address = _as_address(environ.pop("NOTIFY_SOCKET", ""))
        silence_us = environ.pop("WATCHDOG_USEC", "")
        watched = environ.pop("WATCHDOG_PID", "") in ("", str(os.getpid()))
        #: Seconds between two signs of life; None: nobody waits for them.
        self._pause_s = int(silence_us) / 1e6 / _SIGNS if silence_us.isdigit() and watched else None
        self._next_s = 0.0
        self._is_ready = False

    def ready(self) -> None:
        """It takes work from now on."""
        self._is_ready = True
        self._say("READY=1\nSTATUS=consumes")

    def consumed(self) -> None:
        """The loop came round: it read, or ticked, whether or not there was something to do."""
        if self._pause_s is None or not self._address or monotonic() < self._next_s:
            return
        self._next_s = monotonic() + self._pause_s
        self._say("WATCHDOG=1")

    def waits(self) -> None:
        """A server is away and was looked for in vain: before it is ready a process gets more time for that."""
        if self._is_ready:
            self.consumed()
        else:
            self._say(f"EXTEND_TIMEOUT_USEC={_MORE_TIME_S * 1_000_000}\nSTATUS=waits for its servers")

    def stopping(self) -> None:
        """It takes nothing any more and hands back what it has."""
        self._say("STOPPING=1\nSTATUS=hands back its work")

    def _say(self, words: str) -> None:
        if not self._address:
            return
        # a supervisor that is gone, or whose socket is full, is its own affair
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.settimeout(0)
            way.sendto(words.encode(), self._address)


def _as_address(named: str) -> str:
    """A path, or a name in Linux's abstract space, which is written with an at sign; empty where it is neither."""
    if named.startswith("@"):
        return "\0" + named[1:]
    return named if named.startswith("/") else ""
