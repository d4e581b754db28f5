"""One seed: a factory, what is asked of it, and what happens to it, all drawn from one number.

First the weather: which kinds of faults there will be, if any. Then requests, commands and faults for about half a
minute; then all faults stop, what died is started again, whoever stopped the factory lets it go on, and it has a few
minutes to come to rest. Invariants are looked at all the time, and once more at the end.
"""

from __future__ import annotations

import copy
import hashlib
import math
import random
from collections import Counter
from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from schema.settings.environment import Settings
from schema.settings.limits import Limits
from schema.settings.providers import Providers
from schema.settings.servers import Servers
from streams.transport.in_memory_server import InMemoryServer
from tests.simulation import invariants, seams
from tests.simulation.faults import Faults, Weather, weather
from tests.simulation.loop import OWNER, Changed, Loop, Owner
from tests.simulation.outside import Outside, Request
from tests.simulation.process import ROLES, SimulatedProcess
from tests.simulation.provider import Provider
from tests.simulation.record.postgres import Server

_START: Final = datetime(2026, 3, 29, 0, 59, 30, tzinfo=UTC)
#: Faults and requests come within this time, and then there is so much more to come to rest.
STORM_S: Final = 30.0
_REST_S: Final = 240.0
_LOOK_S: Final = 0.5


class Clock:
    """The simulation's clock; wall time may be set, the other never runs backwards."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """Wall time, UTC."""
        return _START + timedelta(seconds=self._loop.time_s) + self.ahead

    def monotonic_s(self) -> float:
        """Seconds since the beginning."""
        return self._loop.time_s


class _Record(Server):
    """The record's server, on ways that faults may lie in."""

    def __init__(self, loop: Loop, clock: Clock) -> None:
        super().__init__(clock.now)
        self._loop = loop
        self.share_lost = 0.0

    async def reached(self) -> None:
        await self._loop.pause()
        await self._point("record reached")

    async def answered(self) -> None:
        await self._point("record answered")
        await self._loop.pause()
        if self.share_lost and self._loop.chance.random() < self.share_lost:
            raise ConnectionResetError("the answer was lost")

    async def _point(self, name: str) -> None:
        self._loop.on_point(name)
        owner = OWNER.get()
        if owner is not None and owner.is_dead:
            await self._loop.create_future()  # for ever: nobody is there any more


class Played(msgspec.Struct, frozen=True):
    """What came of a seed."""

    seed: int
    broken: tuple[str, ...]
    #: The same for the same seed, on any day and in any process.
    digest: str
    steps: int
    seconds: float
    trace: tuple[str, ...]
    happened: tuple[str, ...]


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, *, keeps_trace: bool = False) -> None:
        self.seed, self._keeps_trace = seed, keeps_trace
        self.chance = random.Random(f"world {seed}")  # noqa: S311 - the same each time is what is wanted
        self.weather: Weather = weather(self.chance, seed)
        self.loop = Loop(random.Random(f"loop {seed}"))  # noqa: S311 - likewise
        self.clock, self.bus_clock = Clock(self.loop), Clock(self.loop)
        self.record = _Record(self.loop, self.clock)
        self.bus = InMemoryServer(lambda: int(self.bus_clock.now().timestamp() * 1000))
        self.bus.changed = Changed(self.loop)  # type: ignore[assignment] # as much of it as is asked for
        self.provider = Provider(self.loop, self.chance, trouble=self.weather.provider_trouble)
        self.day_usd = self.weather.day_usd
        self.settings = _settings(self.day_usd)
        self.longest_retry_s = self.settings.limits.retry_max_s
        self.requests: list[Request] = []
        self.heard: Counter[str] = Counter()
        #: Facts that a guardian had to publish again.
        self.helped = 0
        self.happened: list[str] = []
        #: By consumer, when its process died; and when anything was last in the way of work.
        self.died_s: dict[str, float] = {}
        self.disturbed_s = 0.0
        self.was_wiped = False
        self._numbers = 0
        self._owners: list[Owner] = []
        self._places: dict[str, SimulatedProcess | None] = {}
        self._digest, self._trace = hashlib.blake2b(digest_size=12), list[str]()
        self.watch = invariants.Watch(self)
        self.faults = Faults(self)
        self._is_at_rest = False

    def number(self) -> int:
        """The next number."""
        self._numbers += 1
        return self._numbers

    def note(self, what: str) -> None:
        """Something that happened, for the digest and the trace."""
        line = f"{self.loop.time_s:10.4f} {what}"
        self._digest.update(line.encode())
        if self._keeps_trace:
            self._trace.append(line)

    def happens(self, what: str) -> None:
        """A fault, or the end of one."""
        self.happened.append(f"{self.loop.time_s:.2f} {what}")
        self.note(f"FAULT {what}")

    def disturb(self, for_s: float = 0.0) -> None:
        """Something is in the way of work, for so long."""
        self.disturbed_s = max(self.disturbed_s, self.loop.time_s + for_s)

    def is_held(self) -> bool:
        """Whether an operator or a guardian holds the factory, or a server is away."""
        is_away = self.record.is_away or self.loop.time_s < self.loop.bus_away_until_s
        return is_away or bool(self.record.tables["holds"]) or any(o.frozen is not None for o in self._owners)

    def told(self, event: str, fields: dict[str, Any]) -> None:
        """The product has logged something."""
        self.heard[event] += 1
        if event == "fact.republished":
            row = self.record.tables.one("video_stages", (fields["video"], fields["stage"]))
            # one that was taken since the guardian looked needed no help
            self.helped += row is not None and row["status"] == "open"
        if self._keeps_trace:
            owner = OWNER.get()
            words = " ".join(f"{name}={value}" for name, value in sorted(fields.items()) if name != "exc_info")
            self._trace.append(f"{self.loop.time_s:10.4f}     {owner.name if owner else '-'}: {event} {words}")
            if (error := fields.get("exc_info")) and isinstance(error, BaseException):
                self._trace.append(f"{'':10}         {type(error).__name__}: {error}")

    def entries(self, stream: str) -> list[dict[str, str]]:
        """The fields of all that is in a stream."""
        return [
            {name.decode(errors="replace"): text.decode(errors="replace") for name, text in fields.items()}
            for fields in self.bus.stream(stream).entries.values()
        ]

    @property
    def places(self) -> list[str]:
        """Where processes live at this moment."""
        return [place for place, process in self._places.items() if process is not None]

    def owner(self, place: str) -> Owner | None:
        """Whoever lives there."""
        process = self._places.get(place)
        return process.owner if process is not None else None

    def start(self, place: str) -> None:
        """Start the process of a place, if none is there."""
        if self._places.get(place) is not None:
            return
        name, run = ROLES[place]
        owner = Owner(place)
        self._owners.append(owner)

        def begin() -> None:
            OWNER.set(owner)
            process = SimulatedProcess(self, name, self.settings, owner)
            self._places[place] = process
            self.loop.create_task(run(self, process))

        copy_context().run(begin)
        self.note(f"start {place}")

    def kill(self, place: str) -> None:
        """It is gone, in the middle of whatever it did; somebody starts it again in a while."""
        process = self._places.get(place)
        if process is None:
            return
        process.owner.is_dead, process.owner.frozen = True, None
        self.died_s[process.transport.consumer] = self.loop.time_s
        self._places[place] = None
        self.happens(f"{place} dies")
        self.disturb()
        self.loop.call_later(0.2 + 3 * self.chance.random(), self.start, place, context=copy_context_of_nobody())

    def surely_dead(self, consumer: str) -> bool:
        """Whether it is known that this consumer's process is gone: where all are on one host."""
        return self.weather.one_host and consumer in self.died_s

    def lose_process(self, *_: object, **__: object) -> None:
        """A process ends itself, since something in it hangs."""
        owner = OWNER.get()
        if owner is not None:
            self.kill(owner.name)

    def point(self, name: str) -> None:
        """A step at which a process can die."""
        owner = OWNER.get()
        if owner is not None and self.faults.dies_here(owner.name):
            self.happens(f"{owner.name} reaches {name}")
            self.kill(owner.name)

    def snapshot(self) -> dict[str, Any]:
        """What the bus has now."""
        bus = self.bus
        kept = ("streams", "later", "tokens", "receipts", "requeued", "queues")
        return {name: copy.deepcopy(getattr(bus, name)) for name in kept}

    def play(self) -> Played:
        """From the beginning to the end."""
        before = OWNER.set(None)
        try:
            with seams.in_place(
                self.loop,
                self.clock,
                self.seed,
                told=self.told,
                surely_dead=self.surely_dead,
                end_process=self.lose_process,
            ):
                self.loop.on_point = self.point
                self._play()
        finally:
            OWNER.reset(before)
        return Played(
            self.seed,
            tuple(self.watch.broken),
            self._digest.hexdigest(),
            self.loop.steps,
            self.loop.time_s,
            tuple(self._trace),
            tuple(self.happened),
        )

    def _play(self) -> None:
        outside = Outside(self)
        self.loop.call_soon(self._begin, outside)
        self.loop.call_later(_LOOK_S, self._look, outside)
        self.loop.run(lambda: self._is_at_rest, end_s=STORM_S + _REST_S)
        if not self._is_at_rest:
            self.watch.say(f"I1: not at rest {_REST_S:g} s after the last fault: {outside.unrest()}")
        for what in invariants.when_quiet(self):
            self.watch.say(what)
        for mishap in self.loop.mishaps:
            self.watch.say(f"a callback raised {type(mishap).__name__}: {mishap}")
        self.note(f"{self.loop.steps} steps")
        self._bury()

    def _begin(self, outside: Outside) -> None:
        places = list(ROLES)
        self.chance.shuffle(places)
        for place in places:
            self.loop.call_later(0.3 * self.chance.random(), self.start, place)
        outside.begin()
        self.faults.begin()

    def _look(self, outside: Outside) -> None:
        self.watch.moment()
        self._judge_tasks()
        if self.loop.time_s > STORM_S:
            self.faults.stop()
            if outside.unrest() == "":
                self._is_at_rest = True
                return
        self.loop.call_later(_LOOK_S, self._look, outside)

    def _judge_tasks(self) -> None:
        """A process whose work has ended with an error is a bug of it: no fault does that."""
        for owner in self._owners:
            if not owner.is_dead and owner.tasks and (main := owner.tasks[0]).done() and not main.cancelled():
                error = main.exception()
                self.watch.say(f"{owner.name} ended with {type(error).__name__}: {error}")
                self.kill(owner.name)
            owner.tasks = [task for number, task in enumerate(owner.tasks) if not number or not task.done()]

    def _bury(self) -> None:
        """End what is left, so that nothing of it runs later and is taken for a mistake of somebody else."""
        self.record.is_away = True
        for owner in self._owners:
            owner.is_dead = True
            for task in owner.tasks:
                if task.done():
                    if not task.cancelled():
                        task.exception()
                    continue
                task._log_destroy_pending = False  # type: ignore[attr-defined] # it is meant to be left
                _close(task.get_coro())


def copy_context_of_nobody() -> Any:  # noqa: ANN401 - a context
    """A context in which nobody owns what happens."""
    context = copy_context()
    context.run(OWNER.set, None)
    return context


def _close(coro: Any) -> None:  # noqa: ANN401 - whatever a task runs
    for _ in range(20):
        try:
            coro.close()
        except BaseException:  # noqa: BLE001, S112 - it awaits something while it is closed: once more
            continue
        return


def _settings(day_usd: Decimal) -> Settings:
    servers = Servers(data_dir="/nowhere", lease_s=4.0, block_s=2.0, guardian_tick_s=2.0)
    limits = Limits(
        day_budget_usd=day_usd,
        retry_min_s=0.5,
        retry_max_s=4.0,
        max_crashes=30,
        max_attempts=6,
        audit_s=6.0,
        full_audit_s=20.0,
        hang_grace_s=5.0,
        film_check_s=10.0,
    )
    return Settings(servers=servers, limits=limits, providers=Providers(breaker_failures=50))


Callback = Callable[[], None]
_ = math
