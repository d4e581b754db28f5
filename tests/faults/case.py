"""What a case is: one fault, what it needs, and how it is played."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tests.faults.ground import Ground

#: Returns the recovery in seconds; None where nothing had to recover.
Play = Callable[[Ground], float | None]


class Needs(msgspec.Struct, frozen=True):
    """The ground that a case is played on; one that two cases in a row need is used for both."""

    #: Wires that can be broken stand between the processes and the servers.
    proxies: bool = False
    environ: tuple[tuple[str, str], ...] = ()
    #: Hosts of two releases are on the same servers.
    releases: bool = False


class Case(msgspec.Struct, frozen=True):
    """One fault."""

    row: int
    name: str
    #: None where tests of their own show it, on a ground of their own.
    play: Play | None
    #: Whether the short sweep plays it, too.
    short: bool = False
    #: The seconds within which its work has to go on (I9).
    within_s: float = 10.0
    needs: Needs = Needs()
    #: Takes minutes: only the long sweep plays it, and once.
    once: bool = False
