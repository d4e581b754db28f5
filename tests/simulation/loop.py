"""An event loop without a clock of its own: what runs next is drawn by lot, and time goes on when nothing can run.

What asyncio hands to threads is a step like any other here; where it would block, it is parked and asked again when
something changed, or when its patience is over. Each step belongs to a process: one that is dead never runs again, and
one that is frozen runs when it is thawed. The same seed makes the same steps.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from asyncio import Handle, TimerHandle
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, cast

T = TypeVar("T")


class Blocked(BaseException):  # noqa: N818 - not an error: a thread waits
    """A call in a thread has nothing to do for so many seconds."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(timeout_s)
        self.timeout_s = timeout_s


class Owner:
    """Whose steps they are: a process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        #: Steps that wait until it is thawed; None: it is not frozen.
        self.frozen: list[Handle] | None = None
        self.tasks: list[asyncio.Task[Any]] = []


OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)


class Changed:
    """In the place of a condition variable: whoever waits for it is parked by the loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def __enter__(self) -> Self:
        """There is one thread: it is always free."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Likewise."""

    def wait(self, timeout_s: float) -> bool:
        """Raises Blocked; False where the time is over."""
        if self._loop.has_expired:
            self._loop.has_expired = False
            return False
        raise Blocked(timeout_s)

    def notify_all(self) -> None:
        """Have those that wait look again."""
        self._loop.look_again()


class _Call:
    """What a thread would do."""

    def __init__(self, work: Callable[[], Any], future: asyncio.Future[Any], context: Context) -> None:
        self.work, self.future, self.context = work, future, context
        self.timer: TimerHandle | None = None


class Loop(asyncio.AbstractEventLoop):
    """Runs one simulation."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.time_s = 0.0
        self.steps = 0
        self.has_expired = False
        #: Until when threads get no answer of the bus.
        self.bus_away_until_s = 0.0
        #: What callbacks raised and nobody took.
        self.mishaps: list[BaseException] = []
        #: Told of each thing that a thread does, before and after it; may end its owner.
        self.on_point: Callable[[str], None] = lambda _: None
        self._ready: list[Handle] = []
        self._timers: list[tuple[float, int, TimerHandle]] = []
        self._numbers = 0
        self._parked: list[_Call] = []

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self.time_s

    def get_debug(self) -> bool:
        """Never."""
        return False

    def is_running(self) -> bool:
        """While it exists."""
        return True

    def is_closed(self) -> bool:
        """Never."""
        return False

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override] # the base names no types
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        """A task of whoever makes it."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            owner.tasks.append(task)
        return task

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override] # noqa: ANN401 - likewise
        """Among the next steps."""
        handle = Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment] # there is one thread

    def call_later(  # type: ignore[override] # likewise
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None  # noqa: ANN401
    ) -> TimerHandle:
        """A step after so many seconds."""
        return self.call_at(self.time_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override] # likewise
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None  # noqa: ANN401
    ) -> TimerHandle:
        """A step at a time."""
        handle = TimerHandle(when, callback, args, self, context)
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, handle))
        return handle

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        """It is passed over when its time has come."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keeps what went wrong, for whoever judges the simulation."""
        owner = OWNER.get()
        error = context.get("exception")
        if error is not None and not (owner is not None and owner.is_dead):
            self.mishaps.append(error)

    def run_in_executor(  # type: ignore[override] # likewise
        self, _executor: object, func: Callable[..., T], *args: Any  # noqa: ANN401
    ) -> asyncio.Future[T]:
        """In a while, and its result in a while after that."""
        call = _Call(lambda: func(*args), self.create_future(), copy_context())
        self.call_later(self.latency_s(), self._carry_out, call)
        return call.future

    def latency_s(self) -> float:
        """How long something takes that is usually quick."""
        draw = self.chance.random()
        return 0.0 if draw < 0.3 else 0.004 * draw if draw < 0.95 else 0.2 * draw

    def _carry_out(self, call: _Call, *, expired: bool = False) -> None:
        if call.future.cancelled():
            return
        if self.time_s < self.bus_away_until_s:
            self.call_at(self.bus_away_until_s + self.latency_s(), self._carry_out, call)
            return
        self.on_point("thread begins")
        owner = OWNER.get()
        if owner is not None and owner.is_dead:
            return
        self.has_expired = expired
        try:
            result = call.work()
        except Blocked as blocked:
            if expired:  # a loop in a thread: it waits anew
                call.timer = None
            if call.timer is None:
                call.timer = self.call_later(blocked.timeout_s, self._expire, call)
            self._parked.append(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, who asked is told
            self._answer(call, partial(call.future.set_exception, error))
        else:
            self._answer(call, partial(call.future.set_result, result))
        finally:
            self.has_expired = False

    def _answer(self, call: _Call, tell: Callable[[], None]) -> None:
        if call.timer is not None:
            call.timer.cancel()

        def told() -> None:
            self.on_point("thread ends")
            owner = OWNER.get()
            if not call.future.done() and not (owner is not None and owner.is_dead):
                tell()

        self.call_later(self.latency_s(), told)

    def _expire(self, call: _Call) -> None:
        if call in self._parked:
            self._parked.remove(call)
            call.timer = None
            self._carry_out(call, expired=True)

    def look_again(self) -> None:
        """What is parked is carried out once more."""
        parked, self._parked = self._parked, []
        for call in parked:
            self.call_later(self.latency_s(), self._carry_out, call, context=call.context)

    def pause(self) -> asyncio.Future[None]:
        """Done after the time that something quick takes."""
        future = self.create_future()
        self.call_later(self.latency_s(), _done, future)
        return future

    def freeze(self, owner: Owner) -> None:
        """It takes no step until it is thawed."""
        owner.frozen = [] if owner.frozen is None else owner.frozen

    def thaw(self, owner: Owner) -> None:
        """All its steps that were due come now."""
        steps, owner.frozen = owner.frozen or [], None
        self._ready.extend(steps)

    def run(self, until: Callable[[], bool], *, end_s: float) -> bool:
        """Step until it is so; False where it is not by `end_s`."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while not until():
                if not self._step(end_s):
                    return False
        finally:
            asyncio._set_running_loop(before)
        return True

    def _step(self, end_s: float) -> bool:
        timers, ready = self._timers, self._ready
        while timers and (timers[0][0] <= self.time_s or not ready):
            when, _, timer = heapq.heappop(timers)
            if timer._cancelled:  # type: ignore[attr-defined] # no other way to ask before 3.12
                continue
            if when > end_s:
                return False
            self.time_s = max(self.time_s, when)
            ready.append(timer)
        if not ready:
            return False
        place = int(self.chance.random() * len(ready))
        ready[place], ready[-1] = ready[-1], ready[place]
        handle = ready.pop()
        if handle._cancelled:  # type: ignore[attr-defined] # likewise
            return True
        owner = cast("Context", handle._context).get(OWNER)  # type: ignore[attr-defined] # whose it is
        if owner is not None:
            if owner.is_dead:
                return True
            if owner.frozen is not None:
                owner.frozen.append(handle)
                return True
        self.steps += 1
        handle._run()
        return True


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
