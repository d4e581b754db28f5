"""Redis dies, comes back with less than it had, falls silent, answers late, breaks off or is full (rows 5 and 6).

The thirty seconds of the matrix are scaled as leases are, which last two seconds here and not four: it is silent for
ten. A halt in the middle of each trouble is given to the gateway, which writes it into the record.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

import psutil

from streams import names
from streams.publish import publish
from streams.transport.port import BusUnavailableError
from tests.faults.case import Case, Needs, Play
from tests.faults.ground import Ground

_SILENT_S, _FULL_S, _HALTED_S, _WITHIN_S = 10.0, 3.0, 2.0, 30.0
_LATE_S: Final = 0.2
#: Within this long a halt has reached every process, whether Redis is there or not.
_REACHES_ALL_S: Final = 2.0
_PATIENCE_S: Final = 20.0

_SENT = "SELECT count(*) FROM money.reservations WHERE sent_at > $1"
_BEGUN = "SELECT count(*) FROM stage_attempts WHERE started_at > $1::timestamptz + make_interval(secs => $2)"


@contextlib.contextmanager
def _stopped(ground: Ground) -> Iterator[None]:
    pid = ground.kill("valkey", signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def _lost(ground: Ground) -> Iterator[None]:
    """Whoever is connected hears no more of it, and is not told."""
    ground.network.redis.loses()
    try:
        yield
    finally:
        ground.network.redis.passes()


@contextlib.contextmanager
def _half_open(ground: Ground) -> Iterator[None]:
    """Whoever is connected is cut off; who comes again is let in, and never answered."""
    with _lost(ground):
        ground.network.redis.cut()
        yield


@contextlib.contextmanager
def _slow(ground: Ground) -> Iterator[None]:
    ground.network.redis.slows(latency_s=_LATE_S)
    try:
        yield
    finally:
        ground.network.redis.passes()


@contextlib.contextmanager
def _full(ground: Ground) -> Iterator[None]:
    """It takes nothing that needs room: requests wait outside, with a clear answer."""
    ground.factory.redis("CONFIG", "SET", "maxmemory", "1")
    try:
        with contextlib.suppress(BusUnavailableError):
            publish(ground.factory.transport, names.INTAKE, {"topic": "Too much"}, wait_s=0.2)
            raise AssertionError("a full server has taken a request")
        yield
    finally:
        ground.factory.redis("CONFIG", "SET", "maxmemory", "0")


Trouble = Callable[[Ground], contextlib.AbstractContextManager[None]]
_TROUBLES: Final[Mapping[str, Trouble]] = {
    "silent": _stopped,
    "lost without a word": _lost,
    "half-open": _half_open,
    "late by 200 ms": _slow,
    "full": _full,
}


def _in_trouble(ground: Ground, trouble: Trouble, seconds: float) -> float:
    """It lasts a while; how long until the work was done after it."""
    videos = ground.submit(3)
    with trouble(ground):
        time.sleep(seconds)  # the fault itself is that time passes
    return ground.until_ended(*videos)


def _late(ground: Ground) -> float:
    """Work is done while every answer is late."""
    videos = ground.submit(3)
    with _slow(ground):
        return ground.until_ended(*videos)


def _halted(ground: Ground, trouble: Trouble) -> float:
    """A halt reaches all although Redis is in trouble, and holds after it until somebody resumes."""
    videos = ground.submit(4)
    with trouble(ground):
        _halt(ground)
        halted_at = ground.value("SELECT clock_timestamp()")
        time.sleep(_REACHES_ALL_S + _HALTED_S)  # work would go on in this time
    time.sleep(_HALTED_S)  # and in this, when the stream can be read again and knows of no halt
    assert (sent := ground.value(_SENT, halted_at)) == 0, f"I7: {sent} calls were sent after a halt was committed"
    begun = ground.value(_BEGUN, halted_at, _REACHES_ALL_S)
    assert begun == 0, f"I7: {begun} stages were begun more than {_REACHES_ALL_S:g} s after a halt"
    ground.until(lambda: ground.factory.command(type="resume")["gate"] == "open", within_s=_PATIENCE_S)
    return ground.until_ended(*videos)


def _halt(ground: Ground) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", ground.factory.gateway_port, timeout=_PATIENCE_S)
    try:
        connection.request("POST", "/pipeline/emergency/halt")
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    assert answer.status == http.client.OK, said


def _set_back(ground: Ground, *, is_empty: bool) -> float:
    """It is killed, and starts again from what its files were some time ago, or from none."""
    files, older = ground.folder / "data/valkey/appendonlydir", ground.folder / "older"
    shutil.rmtree(older, ignore_errors=True)
    videos = ground.submit(2)
    shutil.copytree(files, older)
    videos += ground.submit(3)
    launcher = ground.factory.process
    assert launcher is not None
    launcher.send_signal(signal.SIGSTOP)  # or it starts it again before its files are changed
    try:
        killed = psutil.Process(ground.kill("valkey"))
        while killed.is_running() and killed.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        shutil.rmtree(files)
        if not is_empty:
            shutil.copytree(older, files)
    finally:
        launcher.send_signal(signal.SIGCONT)
    recovery_s = ground.until_ended(*videos)
    ground.until_ended(*ground.submit())
    return recovery_s


def cases() -> Iterator[Case]:
    """Of rows 5 and 6."""
    wires = Needs(proxies=True)
    yield Case(5, "restarted empty", partial(_set_back, is_empty=True), within_s=_WITHIN_S)
    yield Case(5, "restarted from an older AOF", partial(_set_back, is_empty=False), within_s=_WITHIN_S)
    for name, trouble in _TROUBLES.items():
        needs = Needs() if name in ("silent", "full") else wires
        seconds = _FULL_S if name == "full" else _SILENT_S
        play: Play = _late if trouble is _slow else partial(_in_trouble, trouble=trouble, seconds=seconds)
        yield Case(6, f"Redis {name}", play, short=name == "full", within_s=_WITHIN_S, needs=needs)
        play = partial(_halted, trouble=trouble)
        yield Case(6, f"halted while Redis is {name}", play, within_s=_WITHIN_S, needs=needs)
