"""One whole bench of the bus: rounds with the peers interleaved, what is tried once, and the tables.

Says what it does while it does it. Rounds end in time for the rest, so that without flags all ends within nine minutes;
making the environments, once, is not counted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import msgspec

from tests.bench.bus import figures, method, rounds, tried_once
from tests.bench.bus.figures import Measured
from tests.bench.bus.lab import Lab, Options, Say
from tests.bench.bus.peers import Peer
from tests.bench.bus.trial import TrialError
from tests.bench.table import Row, lines

#: When the last round must have ended: what comes after it takes less than two minutes.
_ROUNDS_END_S: Final = 420.0
_MOST_ROUNDS: Final = 3
_LATENCY_JOBS: Final = 500
#: Of a peer's jobs, those that are sent while its worker waits: a producer is slower than a worker.
_PACE_SHARE: Final = 0.25


def run(options: Options, say: Say) -> list[Row]:
    """Measures, says both tables, and returns their rows."""
    lab = Lab(options, say)
    began_s = time.monotonic()

    def say_when(line: str) -> None:
        say(f"{time.monotonic() - began_s:4.0f} s  {line}")

    measured = _rounds(lab, say_when)
    found = [*figures.rows(measured), *tried_once.rows(lab, say_when)]
    for line in ("", *figures.peers_table(measured), "", *lines(found), "", *method.note(lab)):
        say(line)
    return found


def _rounds(lab: Lab, say: Say) -> Sequence[Measured]:
    """All that fit, or as many as were asked for."""
    began_s, longest_s = time.monotonic(), 0.0
    measured = {
        peer.name: Measured(peer.name, is_peer=peer.kind == "peer", failure=lab.unavailable.get(peer.name, ""))
        for peer in lab.chosen
    }
    for number in range(1, (lab.options.rounds or _MOST_ROUNDS) + 1):
        round_began_s = time.monotonic()
        if lab.options.rounds is None and round_began_s - began_s + longest_s > _ROUNDS_END_S:
            say(f"there is no time for round {number}")
            break
        for peer in lab.able:
            say(f"round {number}: {peer.name}")
            measured[peer.name] = _measured_again(lab, peer, measured[peer.name])
            if measured[peer.name].failure:
                say(f"  {measured[peer.name].failure}")
        longest_s = max(longest_s, time.monotonic() - round_began_s)
    return list(measured.values())


def _measured_again(lab: Lab, peer: Peer, before: Measured) -> Measured:
    jobs = peer.jobs(lab.options.jobs)
    try:
        with lab.trial(peer, jobs) as trial:
            after = msgspec.structs.replace(before, costs=(*before.costs, rounds.costs(trial, jobs)))
        if not peer.has_producer:
            return after
        sent = max(1, round(jobs * _PACE_SHARE))
        with lab.trial(peer, max(sent, _LATENCY_JOBS)) as trial:
            return msgspec.structs.replace(after, pace=(*after.pace, rounds.pace(trial, sent, _LATENCY_JOBS)))
    except TrialError as error:
        return msgspec.structs.replace(before, failure=str(error))
