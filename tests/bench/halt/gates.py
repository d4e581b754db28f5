"""How soon a halt reaches everybody: rounds of halt and resume over 32 real processes.

Idle, with two films being made, and without Redis. A round begins at a moment of chance, with all gates open, and ends
when the last gate has shut; where films are made, when their last frame was encoded.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from deploy.launch.plan import ROOT
from streams import names
from tests.bench.halt.lab import Crew, Say, dice
from tests.bench.halt.slots import FRAME
from tests.bench.waiting import wait

_SINGLE: Final = ("intake", "control", "dispatch", "render", "render")
_GUARDIANS: Final = ("integrity", "gpu", "stuck", "vitals", "cost")
#: Frames that a render has encoded since the resume before it counts as running.
_RUNNING_FRAMES: Final = 12
#: A round begins within so long after everybody is ready for it; without Redis, anywhere between two looks of the gates
#: at the record, which a resume has brought into step.
_CHANCE_S: Final = 0.3
_CHANCE_OF_A_LOOK_S: Final = 1.2
#: Intake wants words; the stages of the bench have their own.
_NOTES: Final = "Rivers carry more than water. " * 12


def commands(processes: int) -> list[tuple[str, ...]]:
    """So many processes: one of each, two renders, and as many quality stages as it takes."""
    found: list[tuple[str, ...]] = [("-m", "actors", name) for name in _SINGLE]
    found += [("-m", "guardians", name) for name in _GUARDIANS]
    found += [("-m", "tests.bench.halt.stages", name) for name in ("script", "media", "audio")]
    return found + [("-m", "actors", "quality")] * (processes - len(found))


class Film(msgspec.Struct, frozen=True):
    """What a halt did to two films that were being made."""

    shut_ms: float
    #: From the halt to the last frame encoded, the later of the two.
    last_frame_ms: float
    #: Files under a film's name: none of them can be whole.
    named: int


def idle(crew: Crew, rounds: int) -> list[float]:
    """Milliseconds from the XADD to the last gate."""
    return [_round(crew) for _ in range(rounds)]


def filming(crew: Crew, rounds: int, say: Say) -> list[Film]:
    """The same while two films are made."""
    for number in range(2):
        crew.servers.client.xadd(names.INTAKE, {"topic": f"A long film, {number}", "notes": _NOTES})
    found = []
    for number in range(rounds):
        if number and number % 25 == 0:
            say(f"  round {number}")
        crew.wait_for_frames(_RUNNING_FRAMES)
        wait(dice.uniform(0, _CHANCE_S))
        began_ns = _halt(crew)
        shut_ms = crew.shut_after_ms(began_ns)
        crew.until(lambda: not crew.rendering())
        last_ns = max(crew.slots.read(row, FRAME) for row in crew.rows_of("render"))
        made = (crew.servers.folder / "data").rglob("*.mp4")
        named = sum("render-parts" not in path.parts for path in made)  # parts are kept for the next attempt
        found.append(Film(shut_ms, max(0.0, (last_ns - began_ns) / 1e6), named))
        _resume(crew)
    return found


def without_redis(crew: Crew, rounds: int, *, killed: bool) -> list[float]:
    """Milliseconds from the start of `halt` on a command line to the last gate."""
    found = []
    for _ in range(rounds):
        wait(dice.uniform(0, _CHANCE_OF_A_LOOK_S))
        if killed:
            crew.servers.kill_valkey()
        else:
            crew.servers.valkey.send_signal(signal.SIGSTOP)
        began_ns = time.monotonic_ns()
        with _typed(crew, "halt"):
            found.append(crew.shut_after_ms(began_ns))
            if killed:
                crew.servers.start_valkey()
            else:
                crew.servers.valkey.send_signal(signal.SIGCONT)
        began_ns = time.monotonic_ns()
        with _typed(crew, "resume"):
            crew.wait_until_open(began_ns)
    return found


def _round(crew: Crew) -> float:
    wait(dice.uniform(0, _CHANCE_S))
    took_ms = crew.shut_after_ms(_halt(crew))
    _resume(crew)
    return took_ms


def _halt(crew: Crew) -> int:
    """The time just before it."""
    began_ns = time.monotonic_ns()
    crew.servers.client.xadd(names.CONTROL, {"type": "halt"})
    return began_ns


def _resume(crew: Crew) -> None:
    began_ns = time.monotonic_ns()
    crew.servers.client.xadd(names.CONTROL, {"type": "resume"})
    crew.wait_until_open(began_ns)


def _typed(crew: Crew, verb: str) -> subprocess.Popen[bytes]:
    """A person's command."""
    with (Path(crew.servers.folder) / "typed.log").open("ab") as said:
        return subprocess.Popen(
            (sys.executable, "-m", "deploy", verb),
            env={**crew.servers.environ(), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
