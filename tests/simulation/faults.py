"""What happens to the factory: kinds of weather, and the faults of each, at times drawn by lot.

Calm days come too: then nothing may be lost or late at all. Each fault ends by itself, or when the storm is over.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from streams import names
from tests.simulation.loop import Owner

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Kinds of faults.
KINDS: Final = ("crashes", "zombies", "redis", "postgres", "clocks", "noise")
_POINTS: Final = 60


class Weather(msgspec.Struct, frozen=True):
    """What a seed has in store."""

    kinds: frozenset[str]
    provider_trouble: float
    failing_work: float
    #: Whether each process knows which others are gone.
    one_host: bool
    day_usd: Decimal
    halts: int

    @property
    def breaks_things(self) -> bool:
        """Whether a guardian may have to help: not where events are merely repeated or refused."""
        return bool(self.kinds - {"noise"})


def weather(chance: random.Random, seed: int) -> Weather:
    """Every fifth seed is calm, every fifth has one kind of fault; the others have several."""
    wanted = {0: 0, 1: 1}.get(seed % 5, chance.randint(2, 4))
    return Weather(
        kinds=frozenset(chance.sample(KINDS, wanted)) if wanted else frozenset(chance.sample(["noise", "calm"], 1)) - {"calm"},
        provider_trouble=chance.choice((0.0, 0.2, 0.5)),
        failing_work=chance.choice((0.0, 0.05)),
        one_host=chance.random() < 0.5,
        day_usd=chance.choice((Decimal("150.00"), Decimal("150.00"), Decimal("6.00"))),
        halts=chance.choice((0, 0, 1, 2)),
    )


class Faults:
    """The faults of one seed."""

    def __init__(self, world: World) -> None:
        self._world, self._chance = world, world.chance
        #: How many more points a process passes before it dies.
        self._doomed: dict[str, int] = {}
        self._is_over = False

    def begin(self) -> None:
        """Draw what will happen, and when."""
        kinds: dict[str, tuple[Callable[[], None], ...]] = {
            "crashes": (self._crash, self._doom, self._doom),
            "zombies": (self._freeze,),
            "redis": (self._wipe, self._lose_seconds, self._lose_stream, self._lose_group, self._bus_away),
            "postgres": (self._record_away, self._record_flaky, self._record_restarts),
            "clocks": (self._clock_jumps,),
            "noise": (self._repeat, self._repeat, self._poison),
        }
        for kind in sorted(self._world.weather.kinds):
            for _ in range(self._chance.randint(1, 4)):
                fault = self._chance.choice(kinds[kind])
                self._at(1 + 24 * self._chance.random(), fault)

    def _at(self, time_s: float, what: Callable[[], None]) -> None:
        self._world.loop.call_at(time_s, lambda: None if self._is_over else what())

    def stop(self) -> None:
        """No more of it; what was taken away is given back."""
        if self._is_over:
            return
        self._is_over, world = True, self._world
        self._doomed.clear()
        world.loop.bus_away_until_s = 0.0
        world.record.is_away, world.record.share_lost = False, 0.0
        for place in world.places:
            owner = world.owner(place)
            if owner is not None and owner.frozen is not None:
                world.loop.thaw(owner)
        world.happens("the storm is over")
        world.disturb()

    def dies_here(self, place: str) -> bool:
        """Whether the process of this place has come to its last point."""
        if place not in self._doomed:
            return False
        self._doomed[place] -= 1
        if self._doomed[place] > 0:
            return False
        del self._doomed[place]
        return True

    def _somebody(self) -> str:
        """Workers more often than others."""
        places = self._world.places
        workers = [place for place in places if place.startswith("worker")]
        return self._chance.choice(workers if workers and self._chance.random() < 0.6 else places or ["worker_a"])

    def _crash(self) -> None:
        self._world.kill(self._somebody())

    def _doom(self) -> None:
        place = self._somebody()
        self._doomed[place] = self._chance.randint(1, _POINTS)

    def _freeze(self) -> None:
        world, place = self._world, self._somebody()
        owner = world.owner(place)
        if owner is None:
            return
        world.loop.freeze(owner)
        for_s = 3 + 9 * self._chance.random()
        world.happens(f"{place} is frozen for {for_s:.1f} s")
        world.disturb(for_s)
        world.loop.call_later(for_s, self._thaw, place, owner)

    def _thaw(self, place: str, owner: Owner) -> None:
        if owner.frozen is not None:
            self._world.happens(f"{place} is thawed")
            self._world.loop.thaw(owner)
            self._world.disturb()

    def _wipe(self) -> None:
        self._lost("Redis is wiped")
        self._world.bus.wipe()

    def _lost(self, what: str) -> None:
        self._world.happens(what)
        self._world.was_wiped = True
        self._world.disturb()

    def _lose_seconds(self) -> None:
        world, kept = self._world, self._world.snapshot()
        for_s = 0.5 + 3 * self._chance.random()

        def restore() -> None:
            self._lost(f"Redis has lost its last {for_s:.1f} s")
            for name, value in kept.items():
                setattr(world.bus, name, value)
            world.bus.changed.notify_all()

        self._at(world.loop.time_s + for_s, restore)

    def _a_stream(self) -> str | None:
        found = sorted(name for name in self._world.bus.streams if self._world.bus.streams[name].entries)
        return self._chance.choice(found) if found else None

    def _lose_stream(self) -> None:
        if (name := self._a_stream()) is not None:
            self._lost(f"{name} is deleted")
            del self._world.bus.streams[name]

    def _lose_group(self) -> None:
        found = sorted((name, group) for name, stream in self._world.bus.streams.items() for group in stream.groups)
        if found:
            name, group = self._chance.choice(found)
            self._lost(f"group {group} of {name} is destroyed")
            del self._world.bus.streams[name].groups[group]

    def _bus_away(self) -> None:
        for_s = 1 + 7 * self._chance.random()
        self._world.happens(f"Redis is silent for {for_s:.1f} s")
        self._world.loop.bus_away_until_s = self._world.loop.time_s + for_s
        self._world.disturb(for_s)

    def _record_away(self) -> None:
        world, for_s = self._world, 1 + 7 * self._chance.random()
        world.happens(f"Postgres is away for {for_s:.1f} s")
        world.record.is_away = True
        world.disturb(for_s)
        world.loop.call_later(for_s, self._record_back)

    def _record_back(self) -> None:
        self._world.record.is_away = False
        self._world.disturb(2.0)  # those who wait for it look every two seconds

    def _record_restarts(self) -> None:
        self._record_away()
        self._world.record.tables.server_started_at = self._world.clock.now() + timedelta(seconds=1)

    def _record_flaky(self) -> None:
        world, for_s = self._world, 2 + 5 * self._chance.random()
        world.happens(f"Postgres loses answers for {for_s:.1f} s")
        world.record.share_lost = 0.3
        world.disturb(for_s)
        world.loop.call_later(for_s, setattr, world.record, "share_lost", 0.0)

    def _clock_jumps(self) -> None:
        world = self._world
        by_s = self._chance.choice((3600.0, 90.0, -2.0, 20.0))
        clock, whose = self._chance.choice(((world.clock, "the record's"), (world.bus_clock, "Redis'")))
        clock.ahead += timedelta(seconds=by_s)
        world.happens(f"{whose} clock jumps by {by_s:g} s")
        world.disturb(max(0.0, -by_s))

    def _repeat(self) -> None:
        """Old entries again, some at once and some later."""
        streams = [name for name in sorted(self._world.bus.streams) if name.startswith("stream:")]
        streams = [name for name in streams if name not in (names.CONTROL, names.INTAKE, names.REJECTED, names.DEAD)]
        if not streams:
            return
        stream = self._chance.choice(streams)
        entries = list(self._world.bus.stream(stream).entries.values())
        for _ in range(self._chance.randint(1, 6)):
            if entries:
                fields, later_s = self._chance.choice(entries), self._chance.choice((0.0, 0.1, 5.0))
                self._at(self._world.loop.time_s + later_s, lambda fields=fields: self._append(stream, fields))  # type: ignore[misc] # mypy knows no defaults of lambdas
        self._world.happens(f"{stream} repeats itself")

    def _append(self, stream: str, fields: dict[bytes, bytes]) -> None:
        self._world.bus.append(stream, fields)

    def _poison(self) -> None:
        fields = self._chance.choice(
            ({b"type": b"\xff\xfe"}, {b"type": b"script.written"}, {b"v": b"9", b"video": b"x"}, {b"\x00": b"\x00"})
        )
        stream = self._chance.choice(("stream:scripts", "stream:admitted", "stream:media", "stream:renders"))
        self._world.happens(f"poison in {stream}")
        self._append(stream, fields)
