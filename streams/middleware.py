"""dramatiq's hooks, bent to the bus: how a delivery ends, what a retry is, and the loop that async actors run on.

An interrupt is no failure: the entry is handed back and no retry is spent. What an actor returns is published when its
entry is acknowledged, in the same step. An async actor that was interrupted keeps its entry until it has really ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Generic, TypeVar, cast

import dramatiq
from dramatiq.asyncio import EventLoopThread, set_event_loop_thread
from dramatiq.broker import Broker, MessageProxy
from dramatiq.message import Message
from dramatiq.middleware import Interrupt, Middleware, MiddlewareError, Shutdown
from dramatiq.middleware import Retries as DramatiqRetries
from dramatiq.middleware import TimeLimit as DramatiqTimeLimit

from streams.gate import Gate
from streams.interrupts import Interrupted, RetryLater, ReturnTo
from streams.transport.port import Entry, Publication

_new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with contextlib.suppress(ImportError):  # it has no wheel for every platform
    from uvloop import new_event_loop as _new_loop

R = TypeVar("R")

_LOOP_START_S: Final = 30.0
_MAX_RETRIES: Final = 3
_MIN_BACKOFF_MS: Final = 1_000
_MAX_BACKOFF_MS: Final = 60_000


class Delivery(MessageProxy):
    """A message on its way through dramatiq, and how it is to end."""

    def __init__(self, message: Message[Any], entry: Entry) -> None:
        super().__init__(message)
        # dramatiq looks these up again and again; its proxy asks the message each time.
        self.actor_name, self.queue_name, self.options = message.actor_name, message.queue_name, message.options
        self.args, self.kwargs, self.message_id = message.args, message.kwargs, message.message_id
        self.entry = entry
        #: What the actor returned.
        self.publications: tuple[Publication, ...] = ()
        #: Handed back in place; to `heir` if there is one.
        self.released = False
        self.heir: ReturnTo | None = None
        #: Delivered again after so long.
        self.retry_delay_s: float | None = None
        #: Whether that is because it failed.
        self.retry_failed = True

    def release(self, interrupt: BaseException) -> None:
        """It was interrupted: hand it back, or return it to where it is worked on."""
        self.released = True
        self.heir = interrupt if isinstance(interrupt, ReturnTo) else None

    def retry_later(self, delay_s: float, *, failed: bool) -> None:
        """It comes back by the lane of its group."""
        self.retry_delay_s, self.retry_failed = delay_s, failed

    def failure(self) -> tuple[str, str]:
        """What went wrong, and what to do about it as far as the exception knows."""
        if self._exception is None:
            return "no actor takes this event", "start a process whose actor does"
        return describe(self._exception), str(getattr(self._exception, "hint", ""))

    def __str__(self) -> str:
        """Names the event instead of printing its fields, which may be large or private."""
        return f"{self._message.actor_name}({self._message.message_id})"

    __repr__ = __str__


def describe(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}"


class Endings(Middleware):
    """Notes on the delivery how its actor ended, without dramatiq taking a result or an interrupt for a mishap."""

    def __init__(self, gate: Gate | None = None) -> None:
        self._gate = gate
        #: Its `delivery` is what this thread works on; not seen by the loop's thread, nor by any other.
        self._thread = threading.local()

    def before_declare_actor(self, broker: Broker, actor: dramatiq.Actor[Any, Any]) -> None:
        """Wraps the actor's function."""
        del broker
        actor.fn = self._noting(actor.fn)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        """Remembers which delivery this thread works on."""
        del broker
        self._thread.delivery = message

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: object = None,
        exception: BaseException | None = None,
    ) -> None:
        """Forgets it."""
        del broker, message, result, exception
        self._thread.delivery = None

    def _noting(self, work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def noting(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - an actor takes and returns what it likes
            delivery = getattr(self._thread, "delivery", None)
            if not isinstance(delivery, Delivery):  # called directly, as a test does
                return work(*args, **kwargs)
            if self._gate is not None and not self._gate.takes():
                delivery.release(Interrupted("the gate was shut before it began"))
                return None
            try:
                delivery.publications = _publications(work(*args, **kwargs))
            except Interrupted as interrupt:
                delivery.release(interrupt)
            except RetryLater as later:
                delivery.retry_later(later.delay_s, failed=False)
            return None

        return noting


def _publications(result: object) -> tuple[Publication, ...]:
    if result is None:
        return ()
    if isinstance(result, tuple) and all(isinstance(item, Publication) for item in result):
        return result
    raise TypeError(f"an actor returned {type(result).__name__}, expected None or a tuple of Publication")


class Retries(DramatiqRetries):
    """Tries failed deliveries again, up to a bound; an interrupt, or a wish to come back, counts as no failure."""

    def __init__(
        self,
        *,
        max_retries: int = _MAX_RETRIES,
        min_backoff_ms: int = _MIN_BACKOFF_MS,
        max_backoff_ms: int = _MAX_BACKOFF_MS,
    ) -> None:
        super().__init__(max_retries=max_retries, min_backoff=min_backoff_ms, max_backoff=max_backoff_ms)

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: object = None,
        exception: BaseException | None = None,
    ) -> None:
        """Decides what becomes of a delivery that raised."""
        if not isinstance(message, Delivery) or exception is None:
            return
        if isinstance(exception, Interrupted | Shutdown):
            message.release(exception)
        elif isinstance(exception, dramatiq.Retry) and exception.delay is not None:
            message.retry_later(exception.delay / 1000, failed=False)
        else:
            super().after_process_message(  # type: ignore[no-untyped-call] # dramatiq types its hooks in part
                broker, message, result=result, exception=exception
            )


class TimeLimit(DramatiqTimeLimit):
    """dramatiq's own, which also works where the worker was not started by dramatiq's command."""

    def before_worker_boot(self, broker: Broker, worker: dramatiq.Worker) -> None:
        """Starts the thread that looks at the limits."""
        del worker
        self.after_process_boot(broker)

    def after_process_boot(self, broker: Broker) -> None:
        """Likewise, at most once."""
        with contextlib.suppress(RuntimeError):  # it runs already
            super().after_process_boot(broker)  # type: ignore[no-untyped-call] # dramatiq types its hooks in part


class LoopThread(EventLoopThread):
    """The thread whose loop carries the async actors, and whatever they share: a pool of connections lives there."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger(f"{__name__}.LoopThread"))
        self.loop.close()
        self.loop = _new_loop()
        self.daemon = True

    def start(self, *, timeout: float | None = _LOOP_START_S) -> None:
        """Starts the loop; raises RuntimeError when it does not run within `timeout` seconds."""
        super().start(timeout=timeout)

    def run_coroutine(self, coro: Awaitable[R]) -> R:
        """What the coroutine returns; an interrupt cancels it and is raised once it has really ended."""
        if not self.loop.is_running():
            raise RuntimeError("the loop of the async actors does not run")
        running = _Running(coro, self.loop)
        try:
            self.loop.call_soon_threadsafe(running.begin)
            self._wait(running)
        except Interrupt:
            self.loop.call_soon_threadsafe(running.cancel)
            self._wait(running)
            raise
        return running.result()

    def _wait(self, running: _Running[R]) -> None:
        """In short steps: an interrupt of this thread comes between two of them."""
        while not running.ended.acquire(timeout=self.interrupt_check_ival):
            if not self.is_alive():
                raise RuntimeError("the loop ended before its coroutine did")


class _Running(Generic[R]):
    """A coroutine on its way; asyncio.run_coroutine_threadsafe does more, and takes three times as long."""

    def __init__(self, coro: Awaitable[R], loop: asyncio.AbstractEventLoop) -> None:
        self._coro, self._loop = coro, loop
        self._begun = False
        self._task: asyncio.Task[None] | None = None
        self._result: R | None = None
        self._error: BaseException | None = None
        #: Free once the coroutine has ended.
        self.ended = threading.Lock()
        self.ended.acquire()

    def begin(self) -> None:
        """On the loop."""
        self._task = self._loop.create_task(self._run())

    def cancel(self) -> None:
        """On the loop; comes after `begin`."""
        if self._task is None or self._task.done():
            return
        self._task.cancel()
        if not self._begun:  # it never will
            if isinstance(self._coro, Coroutine):
                self._coro.close()
            self.ended.release()

    async def _run(self) -> None:
        self._begun = True
        try:
            self._result = await self._coro
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for it
            self._error = error
        finally:
            self.ended.release()

    def result(self) -> R:
        """What it returned or raised."""
        if (error := self._error) is not None:
            self._error = None  # or the frame that it refers to would refer to it
            raise error
        return cast("R", self._result)


class AsyncIO(Middleware):
    """Lends async actors a loop: the one it was given, which stays its giver's, or one of its own."""

    def __init__(self, loop_thread: LoopThread | None = None) -> None:
        self._given = loop_thread
        self._own: LoopThread | None = None

    def before_worker_boot(self, broker: Broker, worker: dramatiq.Worker) -> None:
        """Starts the loop; raises what dramatiq does not swallow when it cannot."""
        del broker, worker
        if self._given is None:
            self._own = LoopThread()
            try:
                self._own.start()
            except RuntimeError as error:
                raise MiddlewareError(f"the loop of the async actors did not start: {error}") from error
        set_event_loop_thread(self._given or self._own)

    def after_worker_shutdown(self, broker: Broker, worker: dramatiq.Worker) -> None:
        """Ends the loop if it is ours."""
        del broker, worker
        set_event_loop_thread(None)
        if self._own is not None:
            self._own.stop()  # type: ignore[no-untyped-call] # likewise


def default_middleware(gate: Gate | None, loop_thread: LoopThread | None) -> list[Middleware]:
    """What a broker of the bus needs, outermost first."""
    return [AsyncIO(loop_thread), TimeLimit(), Retries(), Endings(gate)]
