"""Whoever uses the factory: senders who ask for videos and read their receipts, and an operator at a keyboard.

A sender whose request found no answer because Redis was wiped under it sends it again, as the README says; otherwise he
waits. The operator halts, pauses, resumes, cancels and takes up again, and lets all go on when the storm is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from streams import names
from tests.simulation.loop import OWNER

if TYPE_CHECKING:
    from tests.simulation.world import World

_ENDED: Final = ("completed", "failed", "cancelled")
_LOOK_S: Final = 1.0
#: A sender who hears nothing for so long after Redis was wiped sends again.
_PATIENCE_S: Final = 5.0


class Request:
    """One request, and what is known of it."""

    def __init__(self, number: int, fields: dict[str, str], *, is_bad: bool) -> None:
        self.number, self.fields, self.is_bad = number, fields, is_bad
        self.entries: list[str] = []
        self.sent_s = 0.0
        self.video = ""


class Outside:
    """All of them."""

    def __init__(self, world: World) -> None:
        self._world, self._chance = world, world.chance
        self._losses = 0

    def begin(self) -> None:
        """Draw what will be asked, and when."""
        world, loop = self._world, self._world.loop
        for number in range(self._chance.randint(2, 4)):
            is_bad = self._chance.random() < 0.15
            fields = {"topic": f"topic {number}", "notes": "Octopuses have three hearts. Two serve the gills."}
            if self._chance.random() < 0.6 or world.weather.kinds & {"redis"}:
                fields["key"] = f"key {number}"
            if is_bad:
                fields = self._chance.choice(({"notes": "no topic"}, {**fields, "priority": "12"}))
            request = Request(number, fields, is_bad=is_bad)
            world.requests.append(request)
            loop.call_later(12 * self._chance.random(), self._send, request)
        for _ in range(world.weather.halts):
            self._stop(2 + 18 * self._chance.random())
        for _ in range(self._chance.choice((0, 0, 1, 2))):
            loop.call_later(3 + 25 * self._chance.random(), self._change)
        loop.call_later(_LOOK_S, self._look)

    def _stop(self, time_s: float) -> None:
        verb = self._chance.choice(("halt", "halt", "pause"))
        loop = self._world.loop
        loop.call_at(time_s, self._type, {"type": verb, "reason": "to see"})
        loop.call_at(time_s + 1 + 7 * self._chance.random(), self._type, {"type": "resume"})

    def _change(self) -> None:
        videos = sorted(self._world.record.tables["video_queue"])
        if not videos:
            return
        video = self._chance.choice(videos)
        retry = {"type": "retry", "video": video}
        given: list[dict[str, str]] = [
            {"type": "cancel", "video": video},
            retry,
            {**retry, "from": self._chance.choice(("script", "media", "render")), "fresh": "yes"},
            {"type": "mode", "mode": self._chance.choice(("economy", "speed", "normal"))},
            {"type": "throttle", "jobs": self._chance.choice(("1", "all"))},
            {"type": "resume", "nonsense": "yes"},
        ]
        self._type(self._chance.choice(given))

    def _type(self, fields: dict[str, str]) -> None:
        world = self._world
        if world.loop.time_s < world.loop.bus_away_until_s:
            world.loop.call_at(world.loop.bus_away_until_s + 0.1, self._type, fields)
            return
        world.happens("typed: " + " ".join(f"{name} {value}" for name, value in fields.items()))
        world.bus.append(names.CONTROL, fields)
        if fields["type"] in ("halt", "pause"):
            world.disturb(5.0)

    def _send(self, request: Request) -> None:
        world = self._world
        if world.loop.time_s < world.loop.bus_away_until_s:
            world.loop.call_at(world.loop.bus_away_until_s + 0.1, self._send, request)
            return
        request.entries.append(world.bus.append(names.INTAKE, request.fields))
        request.sent_s = world.loop.time_s
        world.note(f"request {request.number}")

    def _look(self) -> None:
        """Read receipts; send again what Redis has forgotten; after the storm, lift what still holds the factory."""
        world = self._world
        for request in world.requests:
            self._hear(request)
            silent_s = world.loop.time_s - request.sent_s
            if request.entries and world.was_wiped and silent_s > _PATIENCE_S and not self._is_answered(request):
                self._send(request)
        if world.faults._is_over and world.record.tables["holds"]:
            self._type({"type": "resume"})
        world.loop.call_later(_LOOK_S, self._look)

    def _hear(self, request: Request) -> None:
        if request.video or request.is_bad:
            return
        keys = {request.fields.get("key", ""), *request.entries}
        for row in self._world.record.tables["video_queue"].values():
            if row["key"] in keys:
                request.video = row["id"]

    def _is_answered(self, request: Request) -> bool:
        refused = self._world.record.tables["refused_events"]
        return bool(request.video) or any((names.INTAKE, each, "rejected") in refused for each in request.entries)

    def unrest(self) -> str:
        """What is still going on; empty where nothing is."""
        world, tables = self._world, self._world.record.tables
        for request in world.requests:
            if not request.entries or not self._is_answered(request):
                return f"request {request.number} is not answered"
        moving: list[dict[str, Any]] = tables.rows("video_queue", lambda row: row["status"] not in _ENDED)
        if moving:
            return f"{moving[0]['id']} is {moving[0]['status']}"
        in_hand = tables.rows("reservations", lambda row: row["state"] in ("reserved", "sent"))
        if in_hand:
            return f"a call of {in_hand[0]['service']} is {in_hand[0]['state']}"
        if tables["announcements"]:
            return "something is not said yet"
        if world.loop.time_s < world.disturbed_s + 6:
            return "it was disturbed a moment ago"
        return ""


_ = OWNER
