"""One attempt at a stage as its work sees it: what it works from, where it may stop, what it may buy, how long it has.

An attempt is told to stop by its next checkpoint. Where it goes on for a grace after that, its process ends, since a
thread cannot be killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from actors.providers.chain import Delivered
from actors.providers.market import Market, Way
from schema import flow
from schema.modes import Bundle
from schema.record.claims import Claim
from schema.settings.providers import Stage
from streams import hangs
from streams.observer import Observer
from streams.process import Process
from streams.publish import publish

_log = structlog.get_logger(__name__)
Result = TypeVar("Result")
#: How long the other attempts of a process that hangs have to reach a checkpoint, before it ends.
_NEIGHBOURS_S = 2.0
#: How often a limit is put off by the time that its work was held.
_LOOK_S = 0.25
#: The share of an attempt's time in which one call may be tried again: the rest belongs to whoever comes next.
_TRIES_SHARE = 0.3
#: How long something that is said for others waits for Redis.
_PATIENCE_S = 1.0


class Task:
    """One attempt at a stage, as its work sees it."""

    def __init__(self, claim: Claim, process: Process, scratch: Path, market: Market) -> None:
        self.claim, self.scratch, self.market = claim, scratch, market
        self.settings, self.artifacts = process.settings, process.artifacts
        self.progress = 0.0
        #: Those that work for this attempt, and whether its coroutine has ended.
        self.threads, self.ended = hangs.Threads(), False
        self._process, self._gate = process, process.gate
        self._interruption: BaseException | None = None
        self._folders = 0

    def checkpoint(self) -> None:
        """A safe point: raises when this attempt must stop. Callable from any thread."""
        if self._interruption is not None:
            raise self._interruption
        self._process.gate.checkpoint()

    def interrupt(self, error: BaseException) -> None:
        """The next checkpoint raises `error`; called on the loop. The process ends where this attempt does not."""
        self._interruption = error
        asyncio.get_running_loop().call_later(self.settings.limits.hang_grace_s, self._end_if_hung)

    def _end_if_hung(self) -> None:
        if self.ended and not self.threads.running:
            return
        claim = self.claim
        why = f"interrupted {self.settings.limits.hang_grace_s:g} s ago and still at it: {self._interruption}"
        _log.error("stage.hangs", video=claim.video, stage=claim.stage, attempt=claim.attempt, why=why)
        self._process.gate.stop()  # its neighbours end at their next checkpoint
        asyncio.get_running_loop().call_later(_NEIGHBOURS_S, hangs.end_process, why)

    def mode(self) -> Bundle:
        """What the modes in force mean for this video at this moment; ask again before each call."""
        return self._process.mode(self.claim.video)

    def halted_s(self) -> float:
        """Seconds that this process has spent halted so far."""
        return self._gate.halted_s()

    def publish(self, stream: str, fields: dict[str, str]) -> None:
        """Say something for whoever watches; waits a moment for Redis, not for ever. For a thread, not for the loop.

        Raises BusUnavailableError when Redis does not answer in time.
        """
        publish(self._process.transport, stream, fields, wait_s=_PATIENCE_S)

    def observer(self, *streams: str) -> Observer:
        """A reader of what is said there from now on."""
        return Observer(self._process.transport, streams, None, block_s=self.settings.servers.block_s)

    async def deliver(
        self, stage: Stage, paid: Way[Result], local: Callable[[], Awaitable[Result]]
    ) -> Delivered[Result]:
        """What the first provider of the stage's chain delivers, by the mode in force."""
        choices = self.market.choices(stage, paid, local, self.mode())
        return await self.market.deliver(
            choices, self.claim, checkpoint=self.checkpoint, deadline_s=self.limit_s() * _TRIES_SHARE
        )

    def limit_s(self) -> float:
        """Seconds that this attempt may take, by the mode in force."""
        stage, length_s = flow.STAGE[self.claim.stage], self.claim.brief.length_s
        return flow.limit_s(stage, length_s=length_s, speed=self.mode().short_limits)

    def today(self) -> str:
        """The day that it is, by UTC."""
        return f"{self._process.clock.now():%Y-%m-%d}"

    def folder(self, name: str) -> Path:
        """A folder of its own for this name, made and empty."""
        self._folders += 1
        made = self.scratch / f"{self._folders:03d}-{name}"
        made.mkdir(parents=True)
        return made

    def kept_folder(self, name: str) -> Path:
        """A folder of this video's stage that outlives its attempts; not made yet. Who is done with it removes it.

        It lies among the artifacts where these are on this machine, and goes with them. No attempt may rely on what
        another left there: it may have run elsewhere.
        """
        path = f"work/{self.claim.video}/{self.claim.stage}-{name}"
        return self.artifacts.folder(path) or Path(self.settings.servers.data_dir).absolute() / path

    def artifact_path(self, name: str) -> str:
        """Where this attempt stores a file: no two attempts share a name, so a zombie overwrites nothing."""
        return f"work/{self.claim.video}/{self.claim.stage}-{self.claim.attempt}-{name}"


async def within(limit_s: float, task: Task, work: Awaitable[msgspec.Struct]) -> msgspec.Struct:
    """Await `work`; past its limit it is interrupted and counts as a passing failure.

    The clock stands still during a halt: work that cannot stop at once, such as a paid call, is not late because of it.
    During a pause running work goes on, and its clock with it.
    """
    late = TimeoutError(f"the attempt took longer than its limit of {limit_s:g} s")
    try:
        async with asyncio.timeout(limit_s) as limit:
            holding = asyncio.create_task(_put_off(limit, limit_s, task, late))
            try:
                return await work
            finally:
                holding.cancel()
    except TimeoutError as error:
        if error is late or not limit.expired():
            raise  # a checkpoint's, or the work's own
        task.checkpoint()  # halted since the clock was looked at: that is what ends it
        task.interrupt(late)
        raise late from error


async def _put_off(limit: asyncio.Timeout, limit_s: float, task: Task, late: TimeoutError) -> None:
    """Moves the limit by the time that the process spends halted; interrupts work that does not end by it."""
    ends_s, before_s = asyncio.get_running_loop().time() + limit_s, task.halted_s()
    while not limit.expired():
        if (held_s := task.halted_s() - before_s) > 0:
            limit.reschedule(ends_s + held_s)
        await asyncio.sleep(_LOOK_S)
    task.interrupt(late)
