"""What was asked for, who can run here, and a trial of any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from schema.errors import ConfigurationError
from tests.bench.bus.environments import PeerUnavailableError, bin_folder
from tests.bench.bus.peers import Peer, peers
from tests.bench.bus.trial import Trial, trial
from tests.bench.waiting import wait

Say = Callable[[str], None]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    server: str = "valkey"
    #: None: as many as fit, three at most.
    rounds: int | None = None
    #: For a peer with a share of one.
    jobs: int = 20_000
    in_flight: int = 64
    #: Names, or names without -sync and -async; empty: all.
    only: tuple[str, ...] = ()
    kill9: bool = False
    #: How long a killed worker's job is waited for.
    limit_s: float = 20.0
    long_job_s: float = 12.0
    long_lease_s: float = 1.0
    memory_jobs: int = 100_000


class Lab:
    """Makes the environments of the chosen peers, and trials in them."""

    def __init__(self, options: Options, say: Say) -> None:
        """Raises ConfigurationError where nobody has a chosen name."""
        self.options = options
        self.chosen = chosen(options)
        self._bins: dict[str, Path] = {}
        #: Why, by the names of those that cannot run here.
        self.unavailable: dict[str, str] = {}
        for peer in self.chosen:
            wait(0)
            if peer.own_environment:
                say(f"packages of {peer.name}")
            try:
                self._bins[peer.name] = bin_folder(peer)
            except PeerUnavailableError as error:
                say(f"  {peer.name} cannot run: {error}")
                self.unavailable[peer.name] = str(error)

    @property
    def able(self) -> Sequence[Peer]:
        """The chosen that can run here."""
        return [peer for peer in self.chosen if peer.name in self._bins]

    def trial(self, peer: Peer, jobs: int, environ: Mapping[str, str] | None = None) -> AbstractContextManager[Trial]:
        """A fresh server with room for so many jobs; `environ` is told to the peer."""
        server, in_flight = self.options.server, self.options.in_flight
        return trial(peer, self._bins[peer.name], jobs, server=server, in_flight=in_flight, environ=environ)


def chosen(options: Options) -> Sequence[Peer]:
    """Those that were asked for; raises ConfigurationError for a name that nobody has."""
    everybody = peers(options.in_flight)
    known = {name for peer in everybody for name in (peer.name, peer.family)}
    if unknown := [name for name in options.only if name not in known]:
        raise ConfigurationError(
            f"there is no peer {', '.join(unknown)}", hint=f"--only {','.join(sorted({p.family for p in everybody}))}"
        )
    return [peer for peer in everybody if not options.only or {peer.name, peer.family} & set(options.only)]
