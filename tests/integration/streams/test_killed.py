"""What a killed process leaves behind, and how soon somebody goes on with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schema.settings.servers import Servers
from streams.transport import consumers
from streams.transport.over_redis import RedisTransport
from streams.transport.port import Entry
from tests.integration.streams.workers import BLOCK_S, PATIENCE_S, SCRIPT, Server, Workers

STREAM = SCRIPT.streams[0]
_READER = """
import sys
from streams.transport.over_redis import RedisTransport
from tests.integration.streams.workers import SCRIPT
transport = RedisTransport(sys.argv[1], process="script", lease_s=60.0)
print(transport.consumer, *(entry.id for entry in transport.read(SCRIPT, 2, 5.0)), flush=True)
sys.stdin.read()
"""


def _killed_in_mid_work(url: str) -> tuple[str, list[str]]:
    """Name and entries of a process that was killed as `kill -9` does."""
    with subprocess.Popen(
        (sys.executable, "-c", _READER, url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109 - a name for a variable, not a path to work with
    ) as process:
        assert process.stdout is not None
        name, *ids = process.stdout.readline().split()
        assert not consumers.surely_dead(name)
        process.kill()
    return name, ids


def _until_read(transport: RedisTransport, count: int = 1) -> list[Entry]:
    found: list[Entry] = []
    end_s = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < end_s:
        found += transport.read(SCRIPT, 1, BLOCK_S)
    return found


def test_a_process_that_restarts_goes_on_within_two_seconds_whatever_the_lease(
    workers: Workers, server: Server
) -> None:
    for n in range(2):
        server.xadd(STREAM, {"n": str(n)})
    name, ids = _killed_in_mid_work(workers.url)
    assert len(ids) == 2
    assert consumers.surely_dead(name)
    restarted = workers.transport("script", lease_s=60.0)
    began_s = time.monotonic()
    found = _until_read(restarted, 2)
    assert time.monotonic() - began_s < 2.0
    assert [(entry.id, entry.deliveries) for entry in found] == [(entry_id, 2) for entry_id in ids]


def test_what_is_given_back_to_a_dead_process_waits_for_its_lease(workers: Workers, server: Server) -> None:
    server.xadd(STREAM, {"n": "1"})
    name, _ = _killed_in_mid_work(workers.url)
    restarted = workers.transport("script", lease_s=60.0)
    (entry,) = _until_read(restarted)
    restarted.return_to(entry, name, 59.7)  # the record says that its attempt may still be alive
    assert restarted.read(SCRIPT, 1, 0.01) == []
    assert len(_until_read(restarted)) == 1


def test_a_second_worker_takes_over_within_five_seconds_of_a_kill(
    workers: Workers, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "surely_dead", lambda _: False)  # as on another host
    settings = Servers()
    second = workers.transport("second", lease_s=settings.lease_s, block_s=settings.block_s)
    assert second.read(SCRIPT, 1, 0.01) == []
    server.xadd(STREAM, {"n": "1"})
    _, ids = _killed_in_mid_work(workers.url)
    killed_s = time.monotonic()
    while not (found := second.read(SCRIPT, 1, settings.block_s)):
        assert time.monotonic() - killed_s < PATIENCE_S
    assert [entry.id for entry in found] == ids
    assert time.monotonic() - killed_s < 5.0


def test_nothing_is_said_of_processes_of_other_machines_and_of_living_ones() -> None:
    mine = consumers.new_name("script")
    who, _, mark = mine.rpartition("-")
    host, _, _ = who.rpartition("-")
    assert not consumers.surely_dead(mine)
    assert not consumers.surely_dead(consumers.new_name("script"))
    assert not consumers.surely_dead(f"{who.replace(socket.gethostname(), 'elsewhere', 1)}-{mark}")
    assert not consumers.surely_dead(f"{host}-1-{'0' * 8}")
    assert not consumers.surely_dead("released")
    assert consumers.surely_dead(f"{host}-4194305-{mark}")  # beyond all pids
    assert consumers.surely_dead(f"{who}-{mark[:5]}{'0' if mark[5] != '0' else '1'}{mark[6:8]}")  # its pid was reused
    assert len({consumers.new_name("script") for _ in range(3)}) == 3


def test_a_living_process_that_is_hidden_from_us_is_not_taken_for_dead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = consumers.new_name("script")
    _, _, mark = mine.rpartition("-")
    boot = tmp_path / "sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_bytes(Path("/proc/sys/kernel/random/boot_id").read_bytes())
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to(Path("/proc/self/ns/pid").readlink())
    monkeypatch.setattr(consumers, "_PROC", tmp_path)  # as with hidepid, where each user sees only their own
    assert not consumers.surely_dead(mine)
    assert not consumers.surely_dead(mine.replace(f"-{os.getpid()}-", "-1-"))  # another user's, unless we are root
    assert not consumers.surely_dead(mine.replace(f"-{os.getpid()}-", f"-{10**30}-"))  # no number of a process
    assert consumers.surely_dead(mine.replace(f"-{os.getpid()}-{mark}", f"-4194305-{mark}"))
