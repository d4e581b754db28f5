"""One stage at work on one video, on a bus and a record of its own: started, killed, started again, looked at.

Everything but the processes of that stage is done by hand: its video is admitted, what comes before is done in the
record, and what comes after may be done at the end. Waiting is on what the record and the fakes' ledger say, and each
look asks whether what the providers have billed is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import asyncpg
import msgspec

from deploy.launch import privileges
from deploy.launch.plan import ROOT
from deploy.launch.ports import free_ports
from schema import flow
from schema.documents import Brief, Scene, Script
from schema.events import fact as facts
from schema.events.fact import Fact
from schema.money.prices import Prices
from schema.money.statement import Call, Statement
from schema.record.admission import Queue
from schema.record.claims import Claim, Claims
from schema.record.postgres import Postgres
from schema.record.videos import Videos
from schema.settings.servers import Servers
from streams.transport.connection import Connection
from tests.fakes.ledger import Line
from tests.fakes.running import Fakes
from tests.faults import invariants
from tests.integration.streams.workers import Server

#: Who sells what each stage buys.
STAGE_OF = {"openai": "script", "pexels": "media", "elevenlabs": "audio", "google": "audio"}
SCRIPT = Script(
    title="Octopuses",
    scenes=(
        Scene("Octopuses have three hearts.", search_terms=("octopus", "sea")),
        Scene("Two of them rest while they swim.", search_terms=("reef", "swimming")),
    ),
)
_PATIENCE_S, _LOOK_S, _ENDS_WITHIN_S = 45.0, 0.02, 10.0
_VIDEO_USD = Decimal("3.00")


class StageProcess:
    """A process of the stage; what it says is in a file."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self._log = process, log

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, in whatever way."""
        return self._process.returncode is not None

    @property
    def was_killed(self) -> bool:
        """Whether it ended as `kill -9` ends a process."""
        return self._process.returncode == -signal.SIGKILL

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()

    async def end(self) -> int:
        """Tell it to end; returns its exit code, and kills it where it does not listen."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            return await asyncio.wait_for(self._process.wait(), _ENDS_WITHIN_S)
        except TimeoutError:
            self.kill()
            return await self._process.wait()

    def events(self, name: str) -> list[dict[str, object]]:
        """The lines of its log with this event."""
        told = (json.loads(line) for line in self.said().splitlines() if line.startswith("{"))
        return [event for event in told if event.get("event") == name]

    def ready_s(self) -> float:
        """When it was ready, in seconds of the epoch."""
        (event,) = self.events("process.ready")
        return datetime.fromisoformat(str(event["at"])).timestamp()

    def said(self) -> str:
        """Its whole log."""
        return self._log.read_text(encoding="utf-8", errors="replace")


class Workplace:
    """A stage that buys from one provider; `video` is what it works on."""

    def __init__(self, provider: str, fakes: Fakes, environ: Mapping[str, str], folder: Path) -> None:
        self.provider, self.stage = provider, flow.STAGE[STAGE_OF[provider]]
        self.fakes, self.folder, self.video = fakes, folder, ""
        self.prices = Prices("")
        self._environ, self._numbers = environ, itertools.count(1)
        self._started: list[StageProcess] = []
        self._bus = Connection(environ["REDIS_URL"], block_s=1.0)
        self._server: Server = self._bus.commands
        self._postgres = Postgres(environ["DATABASE_URL"], Servers(), process="test")
        self._claims = Claims(self._postgres, worker="by-hand-1-0-0", lease_s=60.0, max_crashes=5)

    async def open(self, video_usd: Decimal) -> None:
        """Admit the video, do what comes before the stage, and deliver the fact that starts it."""
        self._server.flushdb()
        self.record = await asyncpg.connect(self._environ["DATABASE_URL"])
        await invariants.watch_budgets(self.record, video_usd=video_usd)
        await self._postgres.open()
        brief = Brief("Why octopuses have three hearts", length_s=10.0)
        self.video = (await Videos(self._postgres).accept(key="k", priority=5, brief=brief, traceparent="")).video
        queue = Queue(self._postgres)
        await queue.promote(capacity=100, age_per_priority_s=600)
        await queue.admit(most=1, age_per_priority_s=600)
        stream, fact = flow.ADMITTED_STREAM, facts.admission(self.video, at=datetime.now(UTC), traceparent="")
        if self.stage.inputs:
            stream, fact = flow.FIRST.stream, await self._by_hand(flow.FIRST, SCRIPT)
        self._server.xadd(stream, facts.to_fields(fact))

    async def _by_hand(self, stage: flow.Stage, output: msgspec.Struct) -> Fact:
        claim = await self._claims.claim(self.video, stage, entry="by hand", delayed=False)
        assert isinstance(claim, Claim), claim
        fact = await self._claims.commit(claim, output)
        assert fact is not None
        return fact

    async def finish(self) -> None:
        """Do by hand what is left of the video."""
        done = {row["stage"] for row in await self.record.fetch("SELECT stage FROM video_stages WHERE status = 'done'")}
        for stage in flow.STAGES:
            if stage.name not in done:
                await self._by_hand(stage, SCRIPT)

    async def start(self, *module: str) -> StageProcess:
        """A process of the stage, by default as the Procfile starts it."""
        log = self.folder / f"process-{next(self._numbers)}.log"
        parent_pid = os.getpid()
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *(module or ("actors",)), self.stage.name),
                cwd=ROOT,
                env={**os.environ, **self._environ, "YTEMPIRE_METRICS_PORT": str(free_ports())},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=lambda: privileges.die_with_parent(signal.SIGKILL, parent_pid),  # only system calls
            )
        self._started.append(StageProcess(process, log))
        return self._started[-1]

    async def until(self, what: Callable[[], bool | Awaitable[bool]]) -> list[str]:
        """Look again and again until `what` is so; returns where a bill was not covered meanwhile."""
        end_s, broken = time.monotonic() + _PATIENCE_S, dict[str, None]()
        while True:
            found = what()
            if found if isinstance(found, bool) else await found:
                return list(broken)
            broken |= dict.fromkeys(await invariants.covered(self.record, self.lines(), self.prices))
            logs = "\n".join(process.said()[-3000:] for process in self._started)
            assert time.monotonic() < end_s, f"{self.provider}: not within {_PATIENCE_S:g} s\n{logs}"
            await asyncio.sleep(_LOOK_S)

    async def is_done(self) -> bool:
        """Whether the stage has left its result."""
        sql = "SELECT status = 'done' FROM video_stages WHERE stage = $1"
        return bool(await self.record.fetchval(sql, self.stage.name))

    async def attempt_began_s(self, attempt: int) -> float:
        """When this attempt at the stage began."""
        sql = "SELECT started_at FROM stage_attempts WHERE stage = $1 AND attempt = $2"
        began_at: datetime = await self.record.fetchval(sql, self.stage.name, attempt)
        return began_at.timestamp()

    def lines(self) -> list[Line]:
        """What the provider's own ledger holds."""
        return self.fakes.lines(self.provider)

    def letters(self) -> dict[str, list[dict[str, str]]]:
        """What was refused, and what was given up on, as their streams have it."""
        return {
            kind: [
                {name.decode(): text.decode() for name, text in fields.items()}
                for _, fields in self._server.xrange(f"stream:{kind}")
            ]
            for kind in ("rejected", "dead")
        }

    async def calls(self) -> list[Call]:
        """The calls of the video, in order."""
        return await Statement(self._postgres).calls(self.video)

    async def broken(self) -> list[str]:
        """Every invariant that does not hold, now that all is quiet."""
        lines = self.lines()
        return [
            *await invariants.one_end(self.record),
            *await invariants.bought_once(self.record, lines, self.prices),
            *await invariants.within_budgets(self.record),
            *await invariants.covered(self.record, lines, self.prices),
            *await invariants.exact(self.record, lines, self.prices),
            *await invariants.answered(self.record, self.letters()),
        ]

    async def close(self) -> None:
        """End what runs."""
        for process in self._started:
            if not process.has_ended:
                process.kill()
                await process.end()
        await self._postgres.close()
        await self.record.close()
        self._bus.close()


@asynccontextmanager
async def workplace(
    provider: str, fakes: Fakes, environ: Mapping[str, str], folder: Path, *, video_usd: Decimal = _VIDEO_USD
) -> AsyncIterator[Workplace]:
    """One that is open; `environ` names its bus and its record."""
    await asyncio.to_thread(folder.mkdir)
    settings = {
        **fakes.environ(),
        f"YTEMPIRE_{STAGE_OF[provider].upper()}_CHAIN": provider,
        "YTEMPIRE_VIDEO_BUDGET_USD": str(video_usd),
        "YTEMPIRE_DATA_DIR": str(folder / "data"),
        "YTEMPIRE_BLOCK_S": "0.2",
        "YTEMPIRE_LEASE_S": "120",  # nobody may have to wait for the lease of a dead process
        **environ,
    }
    place = Workplace(provider, fakes, settings, folder)
    try:
        await place.open(video_usd)
        yield place
    finally:
        await place.close()
