"""A factory of which anything may be killed: real servers and processes, providers that keep a ledger of their own.

Words, pictures and voices are bought from the fakes by the product's own actors, each armed so that it can be told to
die at any point; films are a few bytes. Waiting is on what the record says, each wait with an end. `broken` asks all
invariants once everything is quiet; `covered` is asked at each look in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg
import psutil

from deploy.launch import privileges
from deploy.launch.plan import ROOT
from deploy.launch.ports import free_ports
from schema.money.prices import Prices
from streams import names
from tests.bench import waiting
from tests.factory.running import Factory
from tests.fakes import running as fakes_running
from tests.fakes.running import Fakes
from tests.faults import armed, invariants, small_film, through
from tests.faults.proxy import Proxy

T = TypeVar("T")
#: Leases and beats of the runbook, scaled down; what providers take is bounded by what a fault here waits for.
SCALED: Final = {
    "YTEMPIRE_LEASE_S": "2",
    "YTEMPIRE_BLOCK_S": "0.5",
    "YTEMPIRE_GUARDIAN_TICK_S": "0.5",
    "YTEMPIRE_RETRY_MIN_S": "0.2",
    "YTEMPIRE_RETRY_MAX_S": "2",
    "YTEMPIRE_SCRIPT_TIMEOUT_S": "3",
    "YTEMPIRE_SPEECH_TIMEOUT_S": "3",
    "YTEMPIRE_CLIPS": "0",
    "YTEMPIRE_SCRIPT_CHAIN": "openai",
    "YTEMPIRE_MEDIA_CHAIN": "pexels",
    "YTEMPIRE_AUDIO_CHAIN": "elevenlabs",
    "YTEMPIRE_WAL_ARCHIVE": "false",
    "TZ": "Europe/Berlin",  # a zone whose clocks jump; nothing of ours may look at it
}
_LINES: Final = (
    *((name, f"python -m tests.faults.armed {{orders}} actors {name}") for name in ("intake", "control", "dispatch")),
    *((name, f"python -m tests.faults.armed {{orders}} actors {name}") for name in ("script", "media", "audio")),
    *(
        (name, f"python -m tests.faults.armed {{orders}} tests.faults.small_film {name}")
        for name in ("render", "quality")
    ),
    *(
        (name, f"python -m tests.faults.armed {{orders}} guardians {name}")
        for name in ("integrity", "gpu", "stuck", "vitals", "cost")
    ),
    ("gateway", "python -m deploy.gateway"),
)
#: Everything that a crash of can be tried on.
STAGES: Final = ("script", "media", "audio", "render", "quality")
_BUYERS: Final = STAGES[:3]
_LOOK_S, _QUIET_WITHIN_S, _STEADY_S, _ENDS_WITHIN_S = 0.05, 60.0, 0.3, 20.0

_IN_HAND = "SELECT count(*) FROM video_queue WHERE status NOT IN ('completed', 'failed', 'cancelled')"
_OPEN_MONEY = "SELECT count(*) FROM money.reservations WHERE state IN ('reserved', 'sent')"


class Network(NamedTuple):
    """The wires between all processes of the factory and its servers; the ground's own go around them."""

    redis: Proxy
    #: Of whoever buys: each of them to Postgres.
    buyers: Proxy
    #: Of everybody else.
    postgres: Proxy

    @property
    def record(self) -> tuple[Proxy, Proxy]:
        """All that lead to Postgres."""
        return self.buyers, self.postgres

    def led(self, name: str, factory: Factory) -> dict[int, int]:
        """By the port of a server, the one at which this process finds it."""
        record = self.buyers if name in _BUYERS else self.postgres
        return {factory.redis_port: self.redis.port, factory.postgres_port: record.port}


class Ground:
    """Where faults are played; `rng` is the only chance there is."""

    def __init__(self, folder: Path, factory: Factory, fakes: Fakes, seed: int, network: Network | None = None) -> None:
        self.folder, self.factory, self.fakes = folder, factory, fakes
        self._network = network
        #: What a case has measured, in words.
        self.figures: list[str] = []
        self.rng = random.Random(seed)  # noqa: S311 - repeatable
        self.prices = Prices("")
        self._runner = asyncio.Runner()
        self._record: invariants.Record | None = None
        self._uncovered: dict[str, None] = {}
        self._submitted, self._is_closed = 0, False
        #: What is there under final names, by video.
        self.films: Callable[[], dict[str, bytes]] = self._films
        #: Another host on the same servers, where there is one.
        self.beside: Factory | None = None
        self._ask(self._watch())

    @property
    def orders(self) -> Path:
        """Where deaths are ordered."""
        return self.folder / "orders"

    @property
    def network(self) -> Network:
        """The wires that can be broken, on a ground that was made with them."""
        assert self._network is not None, "this ground has no proxies"
        return self._network

    def order(self, name: str, point: str, *, waits: bool = False) -> Path:
        """Tell the process to die at the point, or to wait; returns what is there once it has been reached.

        One that waits goes on when that is taken away.
        """
        return armed.order(self.orders, name, point, waits=waits)

    def move_clock(self, seconds: float) -> None:
        """Move the clock of every process but the gateway by so much from the right time."""
        armed.move_clock(self.orders, seconds)

    @contextlib.contextmanager
    def another(self, stage: str) -> Iterator[subprocess.Popen[bytes]]:
        """A second process of a stage, with the first one's settings, whose ways to the servers are never broken."""
        environ = psutil.Process(self.factory.pid_of(stage)).environ()
        if self._network is not None:
            way = self._network.led(stage, self.factory)
            environ = through.led(environ, {other: port for port, other in way.items()})
        parent_pid = os.getpid()
        with (self.folder / f"another-{stage}.log").open("ab") as log:
            process = subprocess.Popen(
                (sys.executable, "-m", "actors", stage),
                cwd=ROOT,
                env={**environ, "YTEMPIRE_METRICS_PORT": str(free_ports())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: privileges.die_with_parent(signal.SIGKILL, parent_pid),  # noqa: PLW1509 - only system calls happen there
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"another {stage} did not end when it was told") from None

    def submit(self, count: int = 1, **fields: str) -> list[str]:
        """Ask for videos, each of a topic of its own; returns their ids, once they are accepted."""
        entries = []
        for _ in range(count):
            self._submitted += 1
            topic = f"Why rivers bend, part {self._submitted} of {self.rng.getrandbits(32):08x}"
            entries.append(self.factory.submit(**{"topic": topic, "length": "10s", **fields}))
        return [self.factory.receipt(entry, within_s=40)["video"] for entry in entries]

    def kill(self, name: str, signum: signal.Signals = signal.SIGKILL) -> int:
        """`kill -9` (or another signal) to the process or server; returns the pid that it had."""
        pid = self.factory.pid_of(name)
        os.kill(pid, signum)
        return pid

    def until(self, what: Callable[[], T], *, within_s: float = _QUIET_WITHIN_S) -> T:
        """Look again and again until `what` gives something, and each time whether every bill is covered."""
        end_s = time.monotonic() + within_s
        while True:
            with contextlib.suppress(asyncpg.PostgresError, OSError):  # a server may be away
                self._look()
                if found := what():
                    return found
            if time.monotonic() > end_s:
                raise AssertionError(f"not within {within_s:g} s; {self._state()}\n" + "".join(self.factory.said[-25:]))
            waiting.wait(_LOOK_S)

    def _look(self) -> None:
        lines = self.fakes.lines()
        self._uncovered |= dict.fromkeys(self.ask(invariants.covered, lines, self.prices))

    def until_ended(self, *videos: str, within_s: float = _QUIET_WITHIN_S) -> float:
        """Wait for the end of these videos, or of all; returns the seconds that took."""
        began_s = time.monotonic()
        sql = f"{_IN_HAND} AND ($1::text[] = '{{}}' OR id = ANY($1))"
        self.until(lambda: self.value(sql, list(videos)) == 0, within_s=within_s)
        return time.monotonic() - began_s

    def until_quiet(self, *, within_s: float = _QUIET_WITHIN_S) -> None:
        """Wait until every video has ended, no money is open, and nothing of the bus is in anybody's hand."""
        since_s = 0.0

        def steady() -> bool:
            nonlocal since_s
            if self.value(_IN_HAND) or self.value(_OPEN_MONEY) or self._held():
                since_s = 0.0
                return False
            since_s = since_s or time.monotonic()
            return time.monotonic() - since_s > _STEADY_S

        self.until(steady, within_s=within_s)

    def _held(self) -> int:
        transport = self.factory.transport
        return sum(len(transport.held(declared)) for declared in names.SUBSCRIPTIONS.values())

    def value(self, sql: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the statement gives
        """The first value that the record answers with."""
        return self._ask(self._with(lambda record: record.fetchval(sql, *arguments)))

    def ask(self, what: Callable[..., Coroutine[Any, Any, list[str]]], *arguments: object) -> list[str]:
        """Ask an invariant."""
        return self._ask(self._with(lambda record: what(record, *arguments)))

    def broken(self) -> list[str]:
        """Every invariant that does not hold, now that all is quiet."""
        lines = self.fakes.lines()
        found = [
            *self._uncovered,
            *self.ask(invariants.one_end),
            *self.ask(invariants.bought_once, lines, self.prices),
            *self.ask(invariants.within_budgets),
            *self.ask(invariants.exact, lines, self.prices),
            *self.ask(invariants.answered, self._letters()),
            *self._files(),
            *self._left_over(),
        ]
        self._uncovered = {}
        return found

    def _letters(self) -> dict[str, list[dict[str, str]]]:
        streams = {"rejected": names.REJECTED, "dead": names.DEAD}
        found: dict[str, list[dict[str, str]]] = {kind: [] for kind in streams}
        for kind, stream in streams.items():
            place = "0-0"
            while page := self.factory.transport.observe({stream: place}, 0.05):
                place = page[-1].id
                found[kind] += [
                    {name.decode(): text.decode(errors="replace") for name, text in entry.fields.items()}
                    for entry in page
                ]
        return found

    def _films(self) -> dict[str, bytes]:
        return {path.stem: path.read_bytes() for path in (self.folder / "data/videos").glob("*.mp4")}

    def _files(self) -> list[str]:
        """I5: one whole file for each completed video, and none under a final name for any other."""
        rows = self.factory.rows("SELECT id, status FROM video_queue")
        there = self.films()
        broken = []
        for video, status in rows:
            film = there.pop(str(video), None)
            if status == "completed" and film is None:
                broken.append(f"I5: {video} is completed, and its file is not there")
            if film is not None and film != small_film.content(str(video)):
                broken.append(f"I5: the file of {video} is half written, or another's")
        return broken + [f"I5: {name} has a file and no video" for name in there]

    def _left_over(self) -> list[str]:
        """I6, as far as a running factory can tell: no temporary file, no lease."""
        data = self.folder / "data"
        parts = [str(path.relative_to(data)) for path in (data / "videos").rglob("*.part")]
        parts += [str(path.relative_to(data)) for path in (data / "work").rglob("*.part")]
        leases = self.value("SELECT count(*) FROM video_stages WHERE status = 'running'")
        return [f"I6: {part} was left" for part in parts] + (
            [f"I6: {leases} stages are still leased"] if leases else []
        )

    def forget(self) -> None:
        """Begin a run: no orders, no faults of providers or wires. The ledger stays: the record does, too."""
        for path in self.orders.iterdir():
            path.unlink()
        self.fakes.order()
        self.figures = []
        for wire in self._network or ():
            wire.passes()
            wire.forget_ghosts()

    def close(self) -> list[str]:
        """End the factory as Ctrl-C does; returns what it left (I6), the first time."""
        if self._is_closed:
            return []
        self._is_closed, left = True, [] if self.beside is None else _ended(self.beside)
        left += _ended(self.factory)
        if self._record is not None:
            self._record.terminate()
        self._runner.close()
        return left

    def _ask(self, what: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(what)

    async def _with(self, what: Callable[[invariants.Record], Coroutine[Any, Any, T]]) -> T:
        """Over one connection, a new one after an outage."""
        if self._record is None or self._record.is_closed():
            self._record = await asyncpg.connect(self.factory.database_url, timeout=5)
        try:
            return await asyncio.wait_for(what(self._record), 10)
        except (asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresConnectionError, OSError) as error:
            self._record.terminate()  # TimeoutError is an OSError, too: what was asked may still be under way
            raise ConnectionError(f"the record does not answer: {error}") from error

    async def _watch(self) -> None:
        watched = await self._with(lambda record: record.fetchval("SELECT to_regclass('public.seen_over') IS NOT NULL"))
        if not watched:  # a factory that goes on is watched already
            await self._with(invariants.watch_budgets)

    def _state(self) -> str:
        with contextlib.suppress(asyncpg.PostgresError, OSError):
            rows = self.factory.rows(
                "SELECT video_id, stage, status, attempt, worker, error FROM video_stages WHERE status <> 'done'"
            )
            return f"{self.factory.statuses()}; in hand: {rows}"
        return "the record does not answer"


def _ended(factory: Factory) -> list[str]:
    """End one as Ctrl-C does; returns what it left."""
    left, process = [], factory.process
    if process is not None and process.poll() is None:
        children = factory.children()
        code = factory.stop()
        left += [f"I6: Ctrl-C ended with {code}"] if code else []
        alive = [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        left += [f"I6: {child.name()} has outlived the factory" for child in alive]
        left += [f"I6: scratch/{path.name} was left" for path in (factory.folder / "scratch").glob("*")]
    factory.close()
    return left


@contextlib.contextmanager
def ground(
    folder: Path, *, seed: int = 0, environ: Mapping[str, str] | None = None, proxies: bool = False
) -> Iterator[Ground]:
    """One that runs, in `folder`; nothing is left of its processes after the block. `proxies`: its wires can break."""
    (folder / "orders").mkdir(parents=True, exist_ok=True)
    procfile = folder / "Procfile"
    with contextlib.ExitStack() as open_until_the_end:
        fakes = open_until_the_end.enter_context(fakes_running.running(folder))
        settings = {**fakes.environ(), **SCALED, **(environ or {})}
        factory = Factory(folder / "data", procfile=procfile, environ=settings)
        network = None
        if proxies:
            network = Network(Proxy(factory.redis_port), *(Proxy(factory.postgres_port) for _ in range(2)))
            for wire in network:
                open_until_the_end.callback(wire.close)
        procfile.write_text(_procfile(folder / "orders", factory, network), encoding="utf-8")
        factory.start()
        made = Ground(folder, factory, fakes, seed, network)
        try:
            yield made
        finally:
            for wire in network or ():
                wire.passes()  # so that everybody can end
            made.close()
            for one in (factory, made.beside):
                if one is not None and one.process is not None and one.process.poll() is None:
                    one.process.kill()
                    one.process.wait()


def _procfile(orders: Path, factory: Factory, network: Network | None) -> str:
    def line(name: str, command: str) -> str:
        before = ""
        if network is not None:
            pairs = " ".join(f"{port}={other}" for port, other in network.led(name, factory).items())
            before = f"python -m tests.faults.through {pairs} -- "
        return f"{name}: {before}{command.format(orders=orders)}\n"

    return "".join(line(name, command) for name, command in _LINES)
