"""Runs the fakes for as long as a block lasts, and hands out settings that lead to them.

    with running(folder) as fakes:
        fakes.order(Fault("openai", "rate_limited", seconds=1))
        Chat(fakes.settings())
        assert [line.billed for line in fakes.lines()] == [...]

Other processes find their way by `environ()`.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from deploy.launch import privileges
from schema.settings.providers import Providers
from tests.fakes import ledger
from tests.fakes.faults import Fault
from tests.fakes.wire import KEYS

ROOT = Path(__file__).parents[2]


class Fakes:
    """Fakes that run."""

    def __init__(self, port: int, ledger_path: Path) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self._port = port
        self.ledger_path = ledger_path
        self._seen = 0

    def order(self, *faults: Fault) -> None:
        """What goes wrong from now on, instead of what was ordered before."""
        # by hand: httpx reads all certificates of the machine for each client, also for one that needs none
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("POST", "/control/faults", msgspec.json.encode(faults))
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        assert answer.status < http.client.MULTIPLE_CHOICES, said

    def lines(self, provider: str = "") -> list[ledger.Line]:
        """What the ledger holds since `forget`, of one provider or of all."""
        lines = ledger.read(self.ledger_path)[self._seen :]
        return [line for line in lines if provider in {"", line.provider}]

    def forget(self) -> None:
        """Begin anew: no orders, and the lines until here are not shown again."""
        self.order()
        self._seen = len(ledger.read(self.ledger_path))

    def addresses(self) -> dict[str, str]:
        """Keys and addresses, by the names of the settings."""
        return {f"{name}_api_key": key for name, key in KEYS.items()} | {
            "openai_base_url": f"{self.origin}/openai/v1",
            "pexels_base_url": f"{self.origin}/pexels",
            "elevenlabs_base_url": f"{self.origin}/elevenlabs",
            "google_base_url": f"{self.origin}/google",
        }

    def settings(self, **others: Any) -> Providers:  # noqa: ANN401 - any field of the settings
        """Settings under which every provider is one of these fakes; no clips unless asked for: they take a while."""
        return msgspec.convert(self.addresses() | {"clips": 0} | others, Providers)

    def environ(self) -> dict[str, str]:
        """The same for a process of its own."""
        return {
            name.upper() if name.endswith("_key") else f"YTEMPIRE_{name.upper()}": value
            for name, value in self.addresses().items()
        }


@contextmanager
def running(folder: Path, *, seed: int | None = None) -> Iterator[Fakes]:
    """Start them, with their ledger in `folder`; they end with the block, or with this process."""
    path = folder / "fakes.jsonl"
    command = [sys.executable, "-m", "tests.fakes", "--ledger", str(path)]
    parent_pid = os.getpid()
    process = subprocess.Popen(
        command + ([] if seed is None else ["--seed", str(seed)]),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: privileges.die_with_parent(signal.SIGKILL, parent_pid),  # noqa: PLW1509 - only system calls happen there
    )
    assert process.stdout is not None
    try:
        told = process.stdout.readline().split()
        assert told[:1] == ["ready"], f"the fakes ended with code {process.wait()}"
        yield Fakes(int(told[1]), path)
    finally:
        process.terminate()
        process.stdout.close()
        process.wait(10)
