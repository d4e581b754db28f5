"""`python -m tests.simulation [--seeds N] [--from S] [--seed S [--trace]] [--jobs N] [--mutate NAME]`: plays seeds.

A seed that breaks something is printed with what it broke, what was done to the factory, and the command that plays
it again. Exit code 1 where there was one. The last line has a digest of all that happened: the same for the same seeds
on any machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from contextlib import nullcontext

from tests.simulation.mutations import named
from tests.simulation.playing import play, play_all, told

_EVERY = 100


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
    mutated = ("--mutate", f"'{asked.mutate}'") if asked.mutate else ()
    with mutation:
        if asked.seed is not None:
            played = play(asked.seed, keeps_trace=asked.trace)
            print("\n".join((*played.trace, told(played, *mutated))))  # noqa: T201 - likewise
            return int(bool(played.broken))
        # a mutation is in this process alone
        return _play_many(range(asked.first, asked.first + asked.seeds), 1 if asked.mutate else asked.jobs, mutated)


def _play_many(seeds: range, jobs: int, options: tuple[str, ...]) -> int:
    start_s, red, digest = time.monotonic(), 0, hashlib.blake2b(digest_size=12)
    for count, played in enumerate(play_all(seeds, jobs), start=1):
        digest.update(played.digest.encode())
        if played.broken:
            red += 1
            print(told(played, *options), flush=True)  # noqa: T201 - likewise
        if count % _EVERY == 0:
            print(f"{count} of {len(seeds)} seeds, {time.monotonic() - start_s:.0f} s", flush=True)  # noqa: T201
    print(f"{len(seeds)} seeds, {red} red, {time.monotonic() - start_s:.1f} s, {digest.hexdigest()}")  # noqa: T201
    return int(red > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
