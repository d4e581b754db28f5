"""One peer on a fresh, empty server: its workers, its producer, and the notes its jobs left.

Everything a trial started ends with it, also when it is interrupted; it starts nothing that listens elsewhere than on
loopback.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from signal import SIGTERM
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import redis
from numpy.typing import NDArray

from deploy.launch import privileges
from deploy.launch.plan import ROOT
from deploy.launch.ports import free_ports
from deploy.launch.program import kill_group, running
from tests.bench.bus import server as servers
from tests.bench.bus.peers import Peer
from tests.bench.waiting import wait

#: Longer than anything here takes on a slow, busy machine.
PATIENCE_S: Final = 60.0
_WARM_JOBS: Final = 20
#: After the first jobs of a worker, what it has still to do before it is at rest.
_WARM_S: Final = 1.0


class TrialError(Exception):
    """A peer that did not do what it was started for; the message says what it did."""

    def __init__(self, peer: Peer, message: str) -> None:
        super().__init__(f"{peer.name}: {message}")
        self.peer = peer


class Trial:
    """A server, slots for `jobs` jobs, and what runs a peer against both; made by `trial`."""

    def __init__(self, peer: Peer, folder: Path, bin_folder: Path, environ: Mapping[str, str], client: Any) -> None:  # noqa: ANN401 - redis-py's replies have no types worth having
        self.peer, self.client = peer, client
        self.log, self.victims = folder / "peer.log", folder / "victims"
        self._bin, self._environ = bin_folder, environ
        self._workers: list[subprocess.Popen[bytes]] = []
        self.jobs = int(environ["BENCH_JOBS"])
        with Path(environ["BENCH_SLOTS"]).open("r+b") as file:
            self._slots: NDArray[np.int64] = np.frombuffer(mmap.mmap(file.fileno(), 0), dtype=np.int64)

    @contextlib.contextmanager
    def worker(self, *, elsewhere: bool = False) -> Iterator[subprocess.Popen[bytes]]:
        """A worker, killed with all its children when the block ends; `elsewhere`: it thinks so, by its host name."""
        command = (str(self._bin / self.peer.worker[0]), *self.peer.worker[1:])
        with self._running(*command, host="elsewhere" if elsewhere else "") as process:
            self._workers.append(process)
            try:
                yield process
            finally:
                self._workers.remove(process)

    def produce(self, jobs: int, rate: float = 0) -> None:
        """Sends jobs, at once or at a steady rate, and returns when all are sent; raises TrialError."""
        with self.producing(jobs, rate) as producer:
            self._wait_for_end(producer, "produce")

    @contextlib.contextmanager
    def producing(self, jobs: int, rate: float) -> Iterator[subprocess.Popen[bytes]]:
        """Sends jobs beside what the block does, until it ends."""
        with self._running(*self._verb("produce", str(jobs), str(rate))) as process:
            yield process

    def send_victim(self) -> None:
        """Sends the long job; raises TrialError."""
        with self._running(*self._verb("victim")) as process:
            self._wait_for_end(process, "victim")

    def victims_began_s(self) -> list[float]:
        """When the long job began, each time, by the monotonic clock."""
        if not self.victims.exists():
            return []
        return [int(line) / 1e9 for line in self.victims.read_text(encoding="ascii").split()]

    def wait_for_victim(self) -> None:
        """Waits until the long job has begun; raises TrialError."""
        until_s = time.monotonic() + PATIENCE_S
        while not self.victims_began_s():
            self._refuse_dead_workers()
            if time.monotonic() > until_s:
                raise TrialError(self.peer, f"the long job did not begin within {PATIENCE_S:g} s{self._last_words()}")
            wait(0.01)

    def warm(self) -> None:
        """Waits until a running worker has done its first jobs and is at rest; forgets them."""
        self.produce(_WARM_JOBS)
        self.wait(_WARM_JOBS)
        wait(_WARM_S)
        self.reset()

    def reset(self) -> None:
        """Forgets all jobs."""
        self._slots[:] = 0

    def sent_ns(self, jobs: int) -> NDArray[np.int64]:
        """When each was sent; 0: not yet."""
        return self._slots[:jobs]

    def began_ns(self, jobs: int) -> NDArray[np.int64]:
        """When each began; 0: not yet."""
        return self._slots[self.jobs : self.jobs + jobs]

    def wait(self, jobs: int, *, first: bool = False, patience_s: float = PATIENCE_S) -> None:
        """Waits until all (or the first) of so many jobs began; raises TrialError, at once when no worker is left."""
        until_s = time.monotonic() + patience_s
        while (begun := np.count_nonzero(self.began_ns(jobs))) < (1 if first else jobs):
            self._refuse_dead_workers()
            if time.monotonic() > until_s:
                raise TrialError(self.peer, f"{begun} of {jobs} jobs began within {patience_s:g} s{self._last_words()}")
            wait(0.001 if first else 0.01)

    def _refuse_dead_workers(self) -> None:
        """Raises TrialError when all workers have ended by themselves."""
        codes = [worker.poll() for worker in self._workers]
        if codes and None not in codes:
            raise TrialError(self.peer, f"its worker ended with code {codes[-1]}{self._last_words()}")

    def _verb(self, *verb: str) -> tuple[str, ...]:
        return (str(self._bin / "python"), "-m", self.peer.module, *verb)

    @contextlib.contextmanager
    def _running(self, *argv: str, host: str = "") -> Iterator[subprocess.Popen[bytes]]:
        parent_pid = os.getpid()
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env={**self._environ, "BENCH_HOST": host},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # only system calls happen there
                preexec_fn=lambda: privileges.die_with_parent(SIGTERM, parent_pid),  # noqa: PLW1509
                start_new_session=True,
            )
        try:
            yield process
        finally:
            kill(process)

    def _wait_for_end(self, process: subprocess.Popen[bytes], verb: str) -> None:
        until_s = time.monotonic() + 2 * PATIENCE_S
        while (code := process.poll()) is None:
            if time.monotonic() > until_s:
                raise TrialError(self.peer, f"`{verb}` did not end within {2 * PATIENCE_S:g} s")
            wait(0.01)
        if code != 0:
            raise TrialError(self.peer, f"`{verb}` ended with code {code}{self._last_words()}")

    def _last_words(self) -> str:
        said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f": {said[-1][:200]}" if said else ""


@contextlib.contextmanager
def trial(
    peer: Peer, bin_folder: Path, jobs: int, *, server: str, in_flight: int, environ: Mapping[str, str] | None = None
) -> Iterator[Trial]:
    """A peer on a server of its own; `environ` is what the peer is told beside the usual."""
    with TemporaryDirectory(prefix="ytempire-bench-") as name:
        folder, port = Path(name), free_ports()
        jobs = max(jobs, _WARM_JOBS)
        slots = folder / "slots"
        slots.write_bytes(bytes(2 * 8 * jobs))
        told = {
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "BENCH_PORT": str(port),
            "BENCH_JOBS": str(jobs),
            "BENCH_SLOTS": str(slots),
            "BENCH_IN_FLIGHT": str(in_flight),
            "BENCH_ASYNC": str(int(peer.is_async)),
            "BENCH_VICTIM_LOG": str(folder / "victims"),
            "dramatiq_queue_prefetch": str(in_flight),
            **(environ or {}),
        }
        with running(servers.program(server, folder / "server", port), folder / "server.log"):
            client: Any = redis.Redis(port=port)
            try:
                yield Trial(peer, folder, bin_folder, {**os.environ, **told}, client)
            finally:
                client.close()


def kill(process: subprocess.Popen[bytes]) -> None:
    """As `kill -9` does, with all its children."""
    kill_group(process.pid)
    process.wait()
