from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Sequence

import pytest

from deploy.launch.plan import ROOT

OURS = (sys.executable, "-m", "deploy.commands.redis_cli")
INSTALLED = shutil.which("redis-cli")
needs_the_real_one = pytest.mark.skipif(
    INSTALLED is None and not os.environ.get("CI"), reason="compares with redis-cli, which is not installed"
)

COMMANDS = (
    ["PING"],
    ["ECHO", 'a "quoted"\tline\n and \x01 and \\'],
    ["SET", "k", "*"],
    ["GET", "k"],
    ["GET", "nothing"],
    ["INCR", "n"],
    ["LPUSH", "list", *"abcdefghijkl"],
    ["LRANGE", "list", "0", "-1"],
    ["LRANGE", "nothing", "0", "-1"],
    ["XADD", "s", "7-1", "topic", "Why octopuses have three hearts", "é", "ü"],
    ["XADD", "s", "7-2", "topic", "second"],
    ["XRANGE", "s", "-", "+"],
    ["XREAD", "STREAMS", "s", "0"],
    ["XREAD", "BLOCK", "10", "STREAMS", "s", "9"],
    ["EVAL", "return {1, {2, {'x', false}, {}}, redis.status_reply('fine')}", "0"],
    ["NOSUCHCOMMAND"],
    ["LPUSH", "k", "wrong kind"],
)


@needs_the_real_one
@pytest.mark.parametrize("mode", ["--raw", "--no-raw"])
def test_it_answers_as_redis_cli_does(valkey_url: str, mode: str) -> None:
    assert INSTALLED is not None, "redis-cli (Debian: redis-tools) is missing; CI has to have it"
    ours, theirs = (_session(program, valkey_url, mode) for program in (OURS, (INSTALLED,)))
    for command, mine, real in zip(COMMANDS, ours, theirs, strict=True):
        assert mine == real, command


def test_a_terminal_is_shown_kinds_and_a_pipe_is_not(valkey_url: str) -> None:
    assert _run([*OURS, "-u", valkey_url, "INCR", "n"]) == (0, b"1\n")
    ours, theirs = pty.openpty()
    with subprocess.Popen((*OURS, "-u", valkey_url, "INCR", "n"), stdout=theirs, env=_environ()) as process:
        assert process.wait(30) == 0
        assert os.read(ours, 100) == b"(integer) 2\r\n"
    os.close(ours)
    os.close(theirs)


def test_lines_on_standard_input_are_commands(valkey_url: str) -> None:
    assert _run([*OURS, "-u", valkey_url], given=b"SET k 'two words'\n\nGET k\n") == (0, b"OK\ntwo words\n")


def test_the_last_argument_can_come_from_standard_input(valkey_url: str) -> None:
    assert _run([*OURS, "-u", valkey_url, "-x", "SET", "k"], given=b"line 1\nline 2\n") == (0, b"OK\n")
    assert _run([*OURS, "-u", valkey_url, "GET", "k"]) == (0, b"line 1\nline 2\n\n")


def test_an_error_fails_only_when_asked_to(valkey_url: str) -> None:
    assert _run([*OURS, "-u", valkey_url, "NOSUCH"])[0] == 0
    assert _run([*OURS, "-u", valkey_url, "-e", "NOSUCH"])[0] == 1


def test_bytes_go_through_unharmed(valkey_url: str) -> None:
    everything = bytes(byte for byte in range(1, 256) if byte != 0x0A)
    _run([*OURS, "-u", valkey_url, "SET", "k", os.fsdecode(everything)])
    assert _run([*OURS, "-u", valkey_url, "GET", "k"]) == (0, everything + b"\n")


def test_a_server_that_is_not_there_is_one_line() -> None:
    done = subprocess.run(
        (*OURS, "-p", "1", "PING"), capture_output=True, text=True, env=_environ(), check=False, timeout=30
    )
    assert done.returncode == 1
    assert done.stderr == "Could not connect to Redis: [Errno 111] Connection refused\n"


def _session(program: Sequence[str], url: str, mode: str) -> list[tuple[int, bytes]]:
    _run([*OURS, "-u", url, "FLUSHALL"])
    return [_run([*program, "-u", url, mode, *command]) for command in COMMANDS]


def _run(command: Sequence[str], given: bytes = b"") -> tuple[int, bytes]:
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, env=_environ(), check=False, timeout=30)
    return done.returncode, done.stdout


def _environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
