"""`./ytempire faults --soak HOURS`: mixed work and a fault every few seconds on one factory, for hours.

It asks whether anything grows that should not (memory, descriptors, connections, consumers, disk), and every invariant
whenever the factory is let come to rest. Everything is kept in one folder, so that a run which was stopped goes on with
the factory that it left. Some processes are never killed: what leaks only over hours shows in them.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

import asyncpg
import psutil
import redis

from deploy.launch.plan import ROOT
from schema.errors import PipelineError
from streams import names
from tests.bench import waiting
from tests.fakes.faults import Fault, Kind, Provider
from tests.faults import journals
from tests.faults.ground import Ground
from tests.faults.matrix import DEATHS
from tests.faults.soak_samples import Sample, seen

#: Whom nobody kills.
SPARED: Final = ("intake", "media", "cost", "gateway")
_KILLED: Final = (
    "control", "dispatch", "script", "audio", "render", "quality", "integrity", "gpu", "stuck", "vitals",
)  # fmt: skip
#: Where a stage can be told to die by itself.
_DEATHS: Final = tuple((stage, point) for stage, point in DEATHS if stage not in SPARED and point != "in_call")
#: Scaled down with the leases: what is kept for days is kept for minutes, so that it can be seen to go.
SETTINGS: Final[Mapping[str, str]] = {
    "STUB_STAGE_S": "0.3",
    "YTEMPIRE_PEXELS_REQUESTS_PER_HOUR": "20000",
    "YTEMPIRE_HOUR_BUDGET_USD": "150",
    "YTEMPIRE_RETENTION_DAYS": "0.007",
    "YTEMPIRE_KEEP_WORK_DAYS": "0.007",
    "YTEMPIRE_KEEP_FAILED_DAYS": "0.007",
}
_FAULT_EVERY_S, _SAMPLE_EVERY_S, _REST_EVERY_S, _CLEAN_EVERY_S = 4.0, 15.0, 900.0, 300.0
#: So slow that two hours stay below the budget of a day.
_VIDEO_EVERY_S, _IN_HAND_AT_MOST, _REST_WITHIN_S = 5.0, 6, 300.0
_WRONG: Final = (AssertionError, LookupError, OSError, PipelineError, asyncpg.PostgresError, redis.RedisError)
#: Of refusals that is no finding here: their streams are wiped, and trimmed after minutes. Their rows stay.
_LETTERS_GO: Final = "has a row and no letter"
_WATCHED: Final = (*_KILLED, *SPARED, "valkey")


class Soak:
    """One run on one ground; `samples` are those of its journal, too."""

    def __init__(self, ground: Ground, journal: Path, say: Callable[[str], None], *, seed: int) -> None:
        self._ground, self._journal, self._say = ground, journal, say
        self.samples = journals.kept(journal, Sample)
        self._before_s = self.samples[-1].at_s if self.samples else 0.0
        self._faults = self.samples[-1].faults if self.samples else 0
        self._began_s = time.monotonic()
        self._rng = random.Random(f"{seed} {self._before_s}")  # noqa: S311 - repeatable
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self._bus = redis.Redis.from_url(ground.factory.redis_url, socket_timeout=3)
        self._numbers = int(self._before_s * 1000)

    @property
    def at_s(self) -> float:
        """Seconds of soaking so far, over all runs of this folder."""
        return self._before_s + time.monotonic() - self._began_s

    def until(self, end_s: float) -> None:
        """Work and break until so many seconds have been soaked, then come to rest."""
        video_s = fault_s = sample_s = rest_s = clean_s = self.at_s
        rest_s, clean_s = rest_s + _REST_EVERY_S, clean_s + _CLEAN_EVERY_S
        while self.at_s < end_s:
            self._undo_what_is_due()
            if self.at_s >= video_s:
                self._work()
                video_s = self.at_s + self._rng.expovariate(1 / _VIDEO_EVERY_S)
            if self.at_s >= fault_s:
                self._break_something()
                fault_s = self.at_s + self._rng.expovariate(1 / _FAULT_EVERY_S)
            if self.at_s >= sample_s:
                self._sample()
                sample_s = self.at_s + _SAMPLE_EVERY_S
            if self.at_s >= clean_s:
                self._clean()
                clean_s = self.at_s + _CLEAN_EVERY_S
            if self.at_s >= rest_s:
                self._rest()
                rest_s = self.at_s + _REST_EVERY_S
            waiting.wait(0.2)
        self._rest()

    def _work(self) -> None:
        """Mixed: any priority and length, some asked twice, some cancelled, some that is none."""
        with contextlib.suppress(*_WRONG):
            in_hand = self._ground.value(
                "SELECT count(*) FROM video_queue WHERE status NOT IN ('completed', 'failed', 'cancelled')"
            )
            if in_hand >= _IN_HAND_AT_MOST:
                return
            self._numbers += 1
            fields = {
                "topic": f"Why rivers bend, part {self._numbers} of {self._rng.getrandbits(32):08x}",
                "length": self._rng.choice(("10s", "20s", "40s")),
                "priority": str(self._rng.randint(1, 9)),
                "key": f"soak-{self._numbers}",
            }
            for _ in range(self._rng.choice((1, 1, 1, 3))):
                self._add(names.INTAKE, fields)
            if self._rng.random() < 0.05:
                self._add(names.INTAKE, {"topic": "x", "priority": "eleven"})
            if self._rng.random() < 0.05:
                video = self._ground.value("SELECT id FROM video_queue ORDER BY created_at DESC LIMIT 1")
                self._add(names.CONTROL, {"type": "cancel", "video": str(video), "reason": "soak"})

    def _add(self, stream: str, fields: Mapping[str, str]) -> None:
        self._bus.xadd(stream, cast("dict[redis.typing.FieldT, redis.typing.EncodableT]", dict(fields)))

    def _break_something(self) -> None:
        kinds = {
            self._dies: 8, self._killed: 4, self._sold_badly: 6, self._stopped: 2, self._connections_killed: 2,
            self._halted: 1, self._wiped: 1, self._server_killed: 1,
        }  # fmt: skip
        (chosen,) = self._rng.choices(list(kinds), weights=list(kinds.values()))
        self._faults += 1
        with contextlib.suppress(*_WRONG, psutil.Error):
            chosen()

    def _dies(self) -> None:
        stage, point = self._rng.choice(_DEATHS)
        self._ground.order(stage, point)

    def _killed(self) -> None:
        self._ground.kill(self._rng.choice(_KILLED))

    def _sold_badly(self) -> None:
        kinds = ("latency", "rate_limited", "server_error", "hang", "slow_drip", "malformed_body", "reset_after")
        provider = self._rng.choice(("openai", "pexels", "elevenlabs"))
        kind = self._rng.choice(kinds)
        self._ground.fakes.order(Fault(cast("Provider", provider), cast("Kind", kind), seconds=0.2, count=1))

    def _stopped(self) -> None:
        pid = self._ground.kill(self._rng.choice((*_KILLED, *SPARED, "valkey")), signal.SIGSTOP)
        self._later(self._rng.uniform(1.0, 6.0), lambda: os.kill(pid, signal.SIGCONT))

    def _connections_killed(self) -> None:
        self._ground.value(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )

    def _halted(self) -> None:
        self._add(names.CONTROL, {"type": "halt", "reason": "soak"})
        self._later(self._rng.uniform(1.0, 4.0), self._go_on)

    def _go_on(self) -> None:
        """Lift every hold, again until it is lifted: a command may be lost with a Redis that is wiped."""
        if self._ground.value("SELECT EXISTS (SELECT FROM holds)"):
            self._add(names.CONTROL, {"type": "resume", "reason": "soak"})
            raise ConnectionError("not yet")

    def _wiped(self) -> None:
        self._bus.flushall()

    def _server_killed(self) -> None:
        self._ground.kill(self._rng.choice(("valkey", "postgres")))

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._undo.append((self.at_s + seconds, what))

    def _undo_what_is_due(self, *, every: bool = False) -> None:
        due = [item for item in self._undo if every or item[0] <= self.at_s]
        self._undo = [item for item in self._undo if item not in due]
        for _, what in due:
            try:
                what()
            except ProcessLookupError:
                continue
            except _WRONG:
                self._later(1.0, what)

    def _rest(self) -> None:
        """No more work and no more faults until all have ended; then every invariant is asked."""
        began_s = self.at_s
        self._ground.forget()
        self._later(0.0, self._go_on)
        while self.at_s < began_s + _REST_WITHIN_S:
            self._undo_what_is_due(every=True)
            waiting.wait(1.0)
            with contextlib.suppress(*_WRONG):
                if not self._undo and self._ground.value(
                    "SELECT count(*) = 0 FROM video_queue WHERE status NOT IN ('completed', 'failed', 'cancelled')"
                ):
                    break
        try:
            self._ground.until_quiet(within_s=_REST_WITHIN_S)
            broken = [text for text in self._ground.broken() if not text.endswith(_LETTERS_GO)]
        except _WRONG as error:
            broken = [f"{type(error).__name__}: {error}"]
        self._sample(broken=tuple(broken), rested=True)

    def _clean(self) -> None:
        """As the evening does it."""
        command = (sys.executable, "-m", "deploy", "clean", "--yes", "--data", str(self._ground.factory.folder))
        subprocess.run(command, cwd=ROOT, env=self._ground.factory.environ, capture_output=True, check=False)

    def _sample(self, *, broken: tuple[str, ...] = (), rested: bool = False) -> None:
        with contextlib.suppress(*_WRONG, psutil.Error):
            sample = seen(
                self._ground, self._bus, _WATCHED, at_s=self.at_s, faults=self._faults, broken=broken, rested=rested
            )
            self.samples.append(sample)
            journals.add(self._journal, sample)
            if rested:
                ended = ", ".join(f"{count} {status}" for status, count in sorted(sample.videos.items()))
                self._say(f"{sample.at_s / 60:.0f} min, {sample.faults} faults, at rest: {ended}")
            for text in broken:
                self._say(f"    {text}")
