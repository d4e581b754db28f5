from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.watchdog import Watchdog


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[socket.socket]:
    """Whoever listens to the process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(0)
        yield ear


def _heard(supervisor: socket.socket) -> list[str]:
    said = []
    while True:
        try:
            said.append(supervisor.recv(1000).decode())
        except BlockingIOError:
            return said


def _environ(supervisor: socket.socket, silence_s: float, pid: int | None = None) -> dict[str, str]:
    return {
        "NOTIFY_SOCKET": supervisor.getsockname(),
        "WATCHDOG_USEC": str(round(silence_s * 1e6)),
        "WATCHDOG_PID": str(pid or os.getpid()),
    }


def test_each_turn_is_a_sign_of_life_and_without_one_it_is_silent(supervisor: socket.socket) -> None:
    watchdog = Watchdog(_environ(supervisor, 0.000_004))
    watchdog.ready()
    assert [said.splitlines()[0] for said in _heard(supervisor)] == ["READY=1"]
    watchdog.consumed()
    watchdog.consumed()
    assert _heard(supervisor) == ["WATCHDOG=1", "WATCHDOG=1"]
    assert _heard(supervisor) == []
    watchdog.stopping()
    assert _heard(supervisor)[0].startswith("STOPPING=1")


def test_a_busy_loop_does_not_flood_its_supervisor(supervisor: socket.socket) -> None:
    watchdog = Watchdog(_environ(supervisor, 3600))
    for _ in range(1000):
        watchdog.consumed()
    assert _heard(supervisor) == ["WATCHDOG=1"]


def test_waiting_for_a_server_is_no_hang_and_gives_a_start_more_time(supervisor: socket.socket) -> None:
    watchdog = Watchdog(_environ(supervisor, 0.000_004))
    watchdog.waits()
    assert _heard(supervisor)[0].startswith("EXTEND_TIMEOUT_USEC=30000000\n")
    watchdog.ready()
    watchdog.waits()
    assert _heard(supervisor)[1:] == ["WATCHDOG=1"]


def test_children_cannot_speak_in_its_name(supervisor: socket.socket) -> None:
    environ = _environ(supervisor, 1)
    Watchdog(environ)
    assert environ == {}


def test_who_is_not_watched_gives_no_sign(supervisor: socket.socket) -> None:
    watchdog = Watchdog(_environ(supervisor, 0.000_004, pid=1))
    watchdog.consumed()
    assert _heard(supervisor) == []


def test_nobody_listening_is_fine(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "4"}, {"NOTIFY_SOCKET": "vsock:2"}):
        watchdog = Watchdog(environ)
        watchdog.ready()
        watchdog.consumed()
        watchdog.stopping()
