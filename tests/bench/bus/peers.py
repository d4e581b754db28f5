"""Who is measured, how its worker is started, and how much work it gets.

A share scales the number of jobs to what a peer does in a second or two; figures are per job. All have one worker
process and eight jobs at once; those that know a bound of what one process holds get the same.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

_MODULE: Final = "tests.bench.peers"


class Peer(msgspec.Struct, frozen=True):
    """One line of the peers' table."""

    name: str
    #: Its folder in tests/bench/peers.
    folder: str
    kind: Literal["ours", "ceiling", "bare", "peer"]
    #: Command in the `bin` folder of its environment, and arguments.
    worker: tuple[str, ...]
    #: Part of the chosen number of jobs.
    share: float = 1.0
    is_async: bool = False
    #: Distributions whose versions are told.
    packages: tuple[str, ...] = ()
    #: Whether its environment is its own; else it is the project's.
    own_environment: bool = True

    @property
    def module(self) -> str:
        """What its producer is run from."""
        return f"{_MODULE}.{self.folder}.peer"

    @property
    def family(self) -> str:
        """Its name without -sync and -async."""
        return self.name.partition("-")[0]

    @property
    def has_producer(self) -> bool:
        """Whether jobs come to it by a server."""
        return self.kind != "ceiling"

    def jobs(self, chosen: int) -> int:
        """How many it is given when `chosen` is the number for a share of one."""
        return max(40, round(chosen * self.share))


def _ours(name: str, folder: str, kind: Literal["ours", "ceiling", "bare"], *, is_async: bool = False) -> Peer:
    return Peer(
        name=name,
        folder=folder,
        kind=kind,
        worker=("python", "-m", f"{_MODULE}.{folder}.peer", "work"),
        share=5.0 if kind == "bare" else 0.5 if is_async else 1.0,
        is_async=is_async,
        packages=("redis",) if kind == "bare" else ("dramatiq",),
        own_environment=False,
    )


def peers(in_flight: int) -> tuple[Peer, ...]:
    """All of them; what belongs side by side in a ratio is run side by side."""
    return (
        _ours("ceiling-sync", "ceiling", "ceiling"),
        _ours("ours-sync", "ours", "ours"),
        _ours("ceiling-async", "ceiling", "ceiling", is_async=True),
        _ours("ours-async", "ours", "ours", is_async=True),
        _ours("bare", "bare", "bare"),
        Peer(
            "dramatiq",
            "dramatiq",
            "peer",
            ("dramatiq", "-p", "1", "-t", "8", f"{_MODULE}.dramatiq.peer"),
            share=0.2,
            packages=("dramatiq", "redis"),
        ),
        Peer(
            "taskiq",
            "taskiq",
            "peer",
            (
                *("taskiq", "worker", f"{_MODULE}.taskiq.peer:broker", "--workers", "1"),
                *("--max-async-tasks", "8", "--max-prefetch", str(max(0, in_flight - 8))),
            ),
            share=0.2,
            packages=("taskiq", "taskiq-redis"),
        ),
        Peer(
            "faststream",
            "faststream",
            "peer",
            ("faststream", "run", f"{_MODULE}.faststream.peer:app"),
            share=0.2,
            packages=("faststream",),
        ),
        Peer("arq", "arq", "peer", ("arq", f"{_MODULE}.arq.peer.WorkerSettings"), share=0.04, packages=("arq",)),
        Peer(
            "celery",
            "celery",
            "peer",
            ("celery", "-A", f"{_MODULE}.celery.peer", "worker", "-P", "threads", "-c", "8", "-l", "WARNING"),
            share=0.15,
            packages=("celery", "kombu"),
        ),
    )
