"""`python -m tests.simulation [--seeds N] [--from S] [--seed S [--trace]] [--jobs N] [--mutate NAME]`: plays seeds.

A seed that breaks something is printed with what it broke, what was done to the factory, and the command that plays it
again. Exit code 1 where there was one. The last lines are the count, and a digest of all that happened: the same for the
same seeds on any machine.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext

from tests.simulation.mutations import named
from tests.simulation.world import Played, World

_CHUNK = 5
_EVERY = 100


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


def told(played: Played) -> str:
    """What a person needs to know of a seed that broke something."""
    lines = [f"seed {played.seed} broke {len(played.broken)}:"]
    lines += [f"    {what}" for what in played.broken]
    lines += ["  it happened at (seconds):", *(f"    {what}" for what in played.happened)]
    lines += [f"  play it again: python -m tests.simulation --seed {played.seed} --trace"]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Play, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Plays seeds of the simulation.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first (0)")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--trace", action="store_true", help="print all that happens in it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (as many as cores)")
    parser.add_argument("--mutate", help="take this guard out first, see tests/simulation/mutations.py")
    asked = parser.parse_args(arguments)
    try:
        mutation = named(asked.mutate).apply() if asked.mutate else nullcontext()
    except LookupError as error:
        print(error.args[0], file=sys.stderr)  # noqa: T201 - for a person
        return 2
    with mutation:
        if asked.seed is not None:
            played = play(asked.seed, keeps_trace=asked.trace)
            print("\n".join((*played.trace, told(played))))  # noqa: T201 - likewise
            return int(bool(played.broken))
        # a mutation is in this process alone
        return _play_many(range(asked.first, asked.first + asked.seeds), 1 if asked.mutate else asked.jobs)


def _play_many(seeds: range, jobs: int) -> int:
    start_s, red, digest = time.monotonic(), 0, hashlib.blake2b(digest_size=12)
    for count, played in enumerate(play_all(seeds, jobs), start=1):
        digest.update(played.digest.encode())
        if played.broken:
            red += 1
            print(told(played), flush=True)  # noqa: T201 - likewise
        if count % _EVERY == 0:
            print(f"{count} of {len(seeds)} seeds, {time.monotonic() - start_s:.0f} s", flush=True)  # noqa: T201
    print(f"{len(seeds)} seeds, {red} red, {time.monotonic() - start_s:.1f} s, {digest.hexdigest()}")  # noqa: T201
    return int(red > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
