"""What a stage is, written once: claim, run, commit, and the fact that settle publishes.

A stage's own file holds only its work: a coroutine from a `Task` to the document it leaves. Results are committed by
the attempt that holds the stage or not at all; halts, shutdowns and newer attempts end work at its next checkpoint and
count nothing. A thread that never reaches a checkpoint cannot be stopped: work that may hang runs in a child.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from structlog.contextvars import bound_contextvars

from actors.providers.market import Market
from actors.task import Task, within
from schema import flow
from schema.errors import ConfigurationError, NotNowError, PermanentError, RefusedError, StoreUnavailableError
from schema.events import fact as facts
from schema.events.fact import Fact
from schema.record.claims import (
    AlreadyDone,
    Claim,
    Claims,
    CrashLoop,
    FailedBefore,
    Held,
    NothingToDo,
    NoWork,
    Throttled,
)
from schema.record.refusals import Refusals
from schema.telemetry import metrics, traces
from streams import names
from streams.broker import Delivered
from streams.interrupts import Interrupted, RetryLater, ReturnTo, Superseded
from streams.process import Process
from streams.transport import consumers
from streams.transport.dead_letters import letter_fields
from streams.transport.port import Entry, Publication

_log = structlog.get_logger(__name__)
_RENEWALS_PER_LEASE = 3
#: How long work that a throttle keeps back waits before it asks again.
_THROTTLED_S = 1.0
#: How long work waits before it asks a store again that could not be used.
_STORE_AWAY_S = 3.0


Work = Callable[[Task], Awaitable[msgspec.Struct]]


class StageActor:
    """The consumer of one stage's entries."""

    def __init__(self, process: Process, stage: flow.Stage, work: Work) -> None:
        self._process, self._stage, self._work = process, stage, work
        limits, servers = process.settings.limits, process.settings.servers
        self._limits, self._lease_s = limits, servers.lease_s
        self._claims = Claims(
            process.postgres,
            worker=process.transport.consumer,
            lease_s=servers.lease_s,
            max_crashes=limits.max_crashes,
            surely_dead=consumers.surely_dead,
        )
        self._refusals = Refusals(process.postgres)
        self._market = Market(process.postgres, process.artifacts, process.settings, process.clock)

    async def __call__(self, delivered: Delivered) -> tuple[Publication, ...]:
        """One delivery: what it publishes when it is acknowledged.

        Raises ReturnTo, RetryLater or Interrupted where the entry is not to be acknowledged.
        """
        entry = delivered.entry
        try:
            event = facts.from_fields(entry.fields)
        except RefusedError as error:
            return await self._give_up(entry, str(error), error.hint)
        with bound_contextvars(video=event.video, stage=self._stage.name):
            answer = await self._claims.claim(
                event.video,
                self._stage,
                entry=f"{entry.stream}/{entry.id}",
                delayed=entry.retries > 0,
                again=entry.deliveries > 1,
            )
            if isinstance(answer, Claim):
                span = traces.span(
                    f"stage {self._stage.name}",
                    parent=answer.traceparent,
                    video=event.video,
                    stage=self._stage.name,
                    attempt=answer.attempt,
                )
                with bound_contextvars(attempt=answer.attempt), span:
                    return await self._attempt(answer, entry)
            return await self._no_work(answer, entry)

    async def _no_work(self, answer: NoWork, entry: Entry) -> tuple[Publication, ...]:
        """What becomes of an entry whose work is done, held, over, or not to be had yet."""
        publications: tuple[Publication, ...] = ()
        match answer:
            case AlreadyDone(fact=fact, wanted=wanted):
                _log.info("stage.already_done", published_again=wanted)
                publications = (self._publication(fact),) if wanted else ()
            case FailedBefore(fact=fact):
                _log.info("stage.failed_before", reason=fact.reason)
                publications = (self._ending(fact), *await self._give_up(entry, fact.reason, ""))
            case Held(worker=worker, same_entry=True, lease_left_s=left_s):
                raise ReturnTo(worker, idle_s=max(0.0, self._lease_s - left_s))
            case Held(worker=worker):
                _log.info("stage.held", worker=worker)
            case Throttled(jobs=jobs):
                raise RetryLater(f"{jobs} of these jobs run here, as many as the throttle allows", delay_s=_THROTTLED_S)
            case CrashLoop(facts=ended, crashes=crashes):
                _log.error("stage.crash_loop", crashes=crashes)
                dead = await self._give_up(entry, f"died with its process {crashes} times", "see the log")
                publications = (*map(self._ending, ended), *dead)
            case NothingToDo(why="unknown video" as why):
                publications = await self._give_up(entry, why, "its record is gone; submit the topic again")
            case NothingToDo(why=why):
                _log.info("stage.nothing_to_do", why=why)
        return publications

    async def _attempt(self, claim: Claim, entry: Entry) -> tuple[Publication, ...]:
        try:
            scratch = self._process.scratch()
        except OSError as error:  # a full disk may have room again
            return await self._retry(claim, entry, error)
        task = Task(claim, self._process, scratch, self._market)
        renewing = asyncio.create_task(self._keep_renewing(claim, task))
        started = self._process.clock.monotonic_s()
        outcome = "done"
        _log.info("stage.started", worker=self._process.transport.consumer)
        try:
            task.checkpoint()
            with task.threads:
                output = await within(task.limit_s(), task, self._work(task))
            fact = await self._claims.commit(claim, output)
            return (self._publication(_still_ours(fact)),)
        except Interrupted as interruption:
            outcome = "released"
            _log.info("stage.released", why=str(interruption) or type(interruption).__name__)
            await self._claims.release(claim, str(interruption) or type(interruption).__name__)
            raise
        except (PermanentError, RefusedError, ConfigurationError) as error:
            outcome = "failed"
            return await self._fail(claim, entry, str(error), error.hint)
        except NotNowError as error:
            outcome = "retried"
            return await self._put_off(claim, str(error), error.after_s)
        except StoreUnavailableError as error:
            outcome = "retried"
            return await self._put_off(claim, str(error), _STORE_AWAY_S)
        except Exception as error:  # noqa: BLE001 - whatever a stage raises, its video must reach an end
            outcome = "retried"
            return await self._retry(claim, entry, error)
        finally:
            seconds = self._process.clock.monotonic_s() - started
            renewing.cancel()
            task.ended = True
            metrics.STAGE_ATTEMPTS.labels(self._stage.name, outcome).inc()
            traces.note(outcome=outcome)
            if outcome == "done":
                metrics.STAGE_SECONDS.labels(self._stage.name).observe(seconds)
            _log.info("stage.ended", outcome=outcome, seconds=round(seconds, 3))
            shutil.rmtree(scratch, ignore_errors=True)

    async def _keep_renewing(self, claim: Claim, task: Task) -> None:
        while True:
            await asyncio.sleep(self._lease_s / _RENEWALS_PER_LEASE)
            if not await self._claims.renew(claim, task.progress):
                task.interrupt(Superseded("a newer attempt holds this stage, or its video has ended"))
                return

    async def _retry(self, claim: Claim, entry: Entry, error: Exception) -> tuple[Publication, ...]:
        reason = f"{type(error).__name__}: {error}"
        if claim.failures + 1 >= self._limits.max_attempts:
            return await self._fail(claim, entry, f"{reason} (after {claim.failures + 1} attempts)", "")
        longest_s = min(self._limits.retry_max_s, self._limits.retry_min_s * 2**claim.failures)
        delay_s = longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        metrics.RETRIES.labels(self._stage.name).inc()
        traces.failed(reason)
        _log.warning("stage.failed", error=reason, retry_in_s=round(delay_s, 2), exc_info=error)
        if not await self._claims.retry_later(claim, reason, delay_s):
            raise Superseded("a newer attempt holds this stage") from error
        raise RetryLater(reason, delay_s=delay_s) from error

    async def _put_off(self, claim: Claim, reason: str, after_s: float) -> tuple[Publication, ...]:
        """An outage of a provider, or of the store, must not use up the attempts of every video there is."""
        delay_s = max(after_s, self._limits.retry_min_s) * random.uniform(1.0, 1.5)  # noqa: S311 - jitter, not a secret
        metrics.RETRIES.labels(self._stage.name).inc()
        _log.warning("stage.put_off", reason=reason, retry_in_s=round(delay_s, 2))
        if not await self._claims.retry_later(claim, reason, delay_s, counts=False):
            raise Superseded("a newer attempt holds this stage")
        raise RetryLater(reason, delay_s=delay_s)

    async def _fail(self, claim: Claim, entry: Entry, reason: str, hint: str) -> tuple[Publication, ...]:
        _log.error("video.failed", reason=reason)
        traces.failed(reason)
        fact = await self._claims.fail(claim, reason)
        return (self._ending(_still_ours(fact)), *await self._give_up(entry, reason, hint))

    async def _give_up(self, entry: Entry, error: str, hint: str) -> tuple[Publication, ...]:
        await self._refusals.note("dead", stream=entry.origin_stream, entry_id=entry.origin_id, error=error, hint=hint)
        return (Publication(names.DEAD, letter_fields(entry, error, hint)),)

    def _publication(self, fact: Fact) -> Publication:
        return Publication(self._stage.stream, facts.to_fields(fact))

    @staticmethod
    def _ending(fact: Fact) -> Publication:
        return Publication(flow.LAST.stream, facts.to_fields(fact))


def _still_ours(fact: Fact | None) -> Fact:
    """The fact of a commit, which there is only while this attempt holds the stage."""
    if fact is None:
        raise Superseded("a newer attempt holds this stage")
    return fact
