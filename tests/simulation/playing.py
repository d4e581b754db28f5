"""Seeds played, one or many, here or by several processes; and a red one in words."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator

from tests.simulation.world import Played, World

_CHUNK = 5


def play(seed: int, *, keeps_trace: bool = False) -> Played:
    """One seed."""
    return World(seed, keeps_trace=keeps_trace).play()


def play_all(seeds: Iterable[int], jobs: int) -> Iterator[Played]:
    """All of them in order, by so many processes."""
    if jobs == 1:
        yield from map(play, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(play, seeds, chunksize=_CHUNK)


def told(played: Played, *options: str) -> str:
    """What a person needs to know of a seed that broke something."""
    lines = [f"seed {played.seed} broke {len(played.broken)}:"]
    lines += [f"    {what}" for what in played.broken]
    lines += ["  it happened at (seconds):", *(f"    {what}" for what in played.happened)]
    lines += [
        f"  play it again: python -m tests.simulation {' '.join(('--seed', str(played.seed), *options, '--trace'))}"
    ]
    return "\n".join(lines)
