"""What must hold: of money and halts at every step that could break it, of ends and answers when all is quiet.

I1 each video reaches one end. I2 nothing is bought twice without being shown. I3 no budget is crossed. I4 the record
counts at least what the provider billed. I7 nothing is sent, begun or ended by a halted factory. I8 what is refused has
its row, its letter and a reason. I9 work goes on within ten seconds of a crash, thirty of a wipe, and without a fault
nothing waits for a guardian. I5 and I6 are about files and processes, of
which there are none here. Bus: an entry is ended by whoever holds it. Lease: nobody takes work from a worker whose lease lives.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from schema import flow
from streams import names
from tests.simulation.provider import Charge
from tests.simulation.record.money import contradictions
from tests.simulation.record.tables import LIVE, Row

if TYPE_CHECKING:
    from tests.simulation.world import World

VIDEO_USD: Final = Decimal("3.00")
_GO_ON_S: Final = 10.0
_REBUILD_S: Final = 30.0
#: A gate hears of a halt, and what was already being taken comes to its checkpoint.
_HALT_S: Final = 3.0
_ENDED: Final = ("completed", "failed", "cancelled")


class Watch:
    """Looks at every row that is committed, and at every charge."""

    def __init__(self, world: World) -> None:
        self._world, self._tables = world, world.record.tables
        self.broken: list[str] = []
        #: Since when a stage's row has its status.
        self._since_s: dict[Any, float] = {}
        self._over_usd: dict[str, Decimal] = defaultdict(Decimal)
        self._halted_since_s: float | None = None
        self._charged: dict[str, Decimal] = defaultdict(Decimal)
        #: When something was last seen to hold the factory.
        self._held_s = 0.0
        self._tables.watchers.append(self.row)
        world.provider.on_charge = self.charge

    def say(self, what: str) -> None:
        """It does not hold."""
        if what not in self.broken:
            self.broken.append(what)
            self._world.note(f"BROKEN {what}")

    def row(self, table: str, key: Any, before: Row | None, after: Row | None) -> None:  # noqa: ANN401 - any key
        """A row was committed."""
        world = self._world
        if table == "reservations" and after is not None:
            world.note(f"{table} {after['service']} {after['state']}")
            self._money(before, after)
        elif table == "video_stages" and after is not None:
            status = None if before is None else before["status"]
            if after["status"] != status or after["attempt"] != (before or after)["attempt"]:
                self._since_s[key] = world.loop.time_s
                world.note(f"{key[0]} {key[1]} {after['attempt']} {after['status']}")
                self._begins(before, after)
        elif table == "holds":
            self._holds()
            world.note(f"{'hold' if after else 'lifted'} {key}")
        elif table == "video_queue" and after is not None and after["status"] != (before or {}).get("status"):
            world.note(f"{key} {after['status']} {after['reason'] or ''}")
            if before is not None and before["status"] in _ENDED and after["status"] in _ENDED:
                self.say(f"I1: {key} had ended, {before['status']}, and ends again, {after['status']}")

    def _holds(self) -> None:
        is_halted = any(row["kind"] == "halt" for row in self._tables.rows("holds"))
        if not is_halted:
            self._halted_since_s = None
        elif self._halted_since_s is None:
            self._halted_since_s = self._world.loop.time_s

    def _begins(self, before: Row | None, after: Row) -> None:
        world, since_s = self._world, self._halted_since_s
        if after["status"] != "running":
            return
        if since_s is not None and world.loop.time_s - max(since_s, world.disturbed_s) > _HALT_S:
            late_s = world.loop.time_s - since_s
            self.say(f"I7: {after['stage']} of {after['video_id']} begins {late_s:.1f} s after a halt")
        if before is not None and before["status"] == "running":
            left_s = (before["lease_until"] - world.record.now()).total_seconds()
            if left_s > 0 and before["worker"] not in world.died_s:
                self.say(f"lease: {after['stage']} of {after['video_id']} is taken from a worker that is alive")

    def _money(self, before: Row | None, after: Row) -> None:
        bought = self._tables.one("purchases", (after["input_hash"], after["take"]))
        if before is None and bought is not None and bought["state"] == "bought":
            self.say(f"I2: {after['service']} for {after['video_id']} is bought again, although it is there")
        sent = after["sends"] > (before["sends"] if before else 0)
        if sent and any(row["kind"] == "halt" for row in self._tables.rows("holds")):
            self.say(f"I7: {after['service']} for {after['video_id']} was sent during a halt")
        if after["billed"] is not None and after["billed"] > after["amount"] and not (before or {}).get("billed"):
            self._over_usd[after["video_id"]] += after["billed"] - after["amount"]
        self._within(after["video_id"], after["day"])
        self._covered(after["id"])

    def _within(self, video: str, day: object) -> None:
        """I3, by the rows and not by the counters."""
        of_video = of_day = Decimal(0)
        for row in self._tables["reservations"].values():
            if row["state"] != "released":
                usd = row["amount"] if row["billed"] is None else row["billed"]
                of_video += usd if row["video_id"] == video else 0
                of_day += usd if row["day"] == day else 0
        if of_video > VIDEO_USD + self._over_usd[video]:
            self.say(f"I3: {video} is at {of_video} dollars")
        if of_day > self._world.day_usd + sum(self._over_usd.values()):
            self.say(f"I3: the day is at {of_day} dollars of {self._world.day_usd}")

    def charge(self, charge: Charge) -> None:
        """The provider has billed."""
        self._world.note(f"charge {charge.service} {charge.usd}")
        self._charged[charge.reservation] += charge.usd
        self._covered(UUID(charge.reservation))

    def _covered(self, reservation: UUID) -> None:
        """I4 at this moment."""
        charged = self._charged.get(str(reservation), Decimal(0))
        row = self._tables.one("reservations", reservation)
        if row is None:
            self.say("I4: a charge without a record")
            return
        counted = Decimal(0) if row["state"] == "released" else row["amount"] if row["billed"] is None else row["billed"]
        allowed = self._over_usd.get(row["video_id"], Decimal(0)) + Decimal("0.03")
        if charged and (row["state"] in ("reserved", "released") or charged > counted + allowed):
            self.say(f"I4: {row['service']} billed {charged}; the record has {counted}, {row['state']}")

    def moment(self) -> None:
        """I9, now and then: whatever can go on does."""
        world = self._world
        now_s = world.loop.time_s
        if world.is_held():
            self._held_s = now_s
            return
        bound_s = _REBUILD_S if world.was_wiped else _GO_ON_S
        for key, row in self._tables["video_stages"].items():
            since_s = self._ready_since_s(key, row)
            if since_s is not None and now_s - max(since_s, self._held_s, world.disturbed_s) > bound_s:
                self.say(f"I9: {key[1]} of {key[0]}, {row['status']}, waits for more than {bound_s:g} s")

    def _ready_since_s(self, key: tuple[str, str], row: Row) -> float | None:
        video, stage = key
        if row["status"] not in LIVE or self._tables["video_queue"][video]["status"] != "processing":
            return None
        since_s = self._since_s.get(key, 0.0)
        if row["status"] == "running":
            died_s = self._world.died_s.get(row["worker"])
            return None if died_s is None else max(since_s, died_s)
        if row["status"] == "retrying":
            return since_s + self._world.longest_retry_s
        inputs = [(video, name) for name in flow.STAGE[stage].inputs]
        if any(self._tables["video_stages"][other]["status"] != "done" for other in inputs):
            return None
        return max(since_s, *(self._since_s.get(other, 0.0) for other in inputs)) if inputs else since_s


def when_quiet(world: World) -> list[str]:
    """What must hold once faults have stopped and time has gone by."""
    return [*_ends(world), *_bought_once(world), *_money(world), *_answered(world), *_unaided(world)]


def _ends(world: World) -> list[str]:
    tables, broken = world.record.tables, []
    for video in tables.rows("video_queue"):
        name, status = video["id"], video["status"]
        stages = tables.rows("video_stages", lambda row: row["video_id"] == name)  # noqa: B023 - used at once
        live = [row["stage"] for row in stages if row["status"] in LIVE]
        if status not in _ENDED or video["ended_at"] is None or live:
            broken.append(f"I1: {name} has reached no end: it is {status}, and {live} are in hand")
        if status == "failed" and not (video["reason"] or "").strip():
            broken.append(f"I1: {name} failed, and nobody says why")
        for row in stages:
            attempt = tables.one("stage_attempts", (name, row["stage"], row["attempt"]))
            if row["status"] == "done" and (attempt is None or attempt["outcome"] != "done"):
                broken.append(f"I1: {row['stage']} of {name} was done by an attempt that did not hold it")
            done = tables.rows(
                "stage_attempts",
                lambda each: (each["video_id"], each["stage"], each["outcome"]) == (name, row["stage"], "done"),  # noqa: B023 - likewise
            )
            if len(done) > video["admissions"]:
                broken.append(f"I1: {row['stage']} of {name} was done {len(done)} times")
    return broken + _one_end_said(world)


def _one_end_said(world: World) -> list[str]:
    """What the streams say is what the record has, where nothing of them was lost."""
    if world.was_wiped:
        return []
    said: dict[str, set[str]] = defaultdict(set)
    for fields in world.entries(flow.LAST.stream):
        said[fields.get("video", "")].add(fields.get("type", ""))
    ends = {"completed": flow.LAST.fact, "failed": flow.FAILED_FACT, "cancelled": flow.CANCELLED_FACT}
    return [
        f"I1: {video['id']} is {video['status']}, and the stream says {sorted(said[video['id']])}"
        for video in world.record.tables.rows("video_queue")
        if video["admissions"] < 2 and video["status"] in ends and said[video["id"]] != {ends[video["status"]]}
    ]


def _bought_once(world: World) -> list[str]:
    rows, broken = world.record.tables["reservations"], []
    paid: dict[Any, list[Row]] = defaultdict(list)
    charges: dict[str, int] = defaultdict(int)
    for charge in world.provider.ledger:
        charges[charge.reservation] += 1
        row = rows.get(UUID(charge.reservation))
        if row is not None and row not in paid[row["input_hash"], row["take"]]:
            paid[row["input_hash"], row["take"]].append(row)
    broken += [f"I2: {name} was charged {count} times" for name, count in charges.items() if count > 1]
    for bought in paid.values():
        # one that was sent by a zombie is billed late: its place is that of its reservation
        in_order = sorted(bought, key=lambda row: row["reserved_at"])
        broken += [
            f"I2: {again['service']} was paid twice, and the record does not show it"
            for again in in_order[1:]
            if not again["second_purchase"]
        ]
    return broken


def _money(world: World) -> list[str]:
    tables = world.record.tables
    wrong = contradictions(tables, world.record.now())
    broken = [f"I3: the counter of {row['counter']} {row['name']} does not equal its rows" for row in wrong]
    charged: dict[str, Decimal] = defaultdict(Decimal)
    for charge in world.provider.ledger:
        charged[charge.reservation] += charge.usd
    for row in tables.rows("reservations"):
        if row["state"] in ("reserved", "sent"):
            broken.append(f"I4: a call of {row['service']} is still {row['state']}: nobody ends it")
        if row["state"] == "settled" and row["billed"] != charged[str(row["id"])]:
            broken.append(f"I4: {row['service']} is settled with {row['billed']}, billed {charged[str(row['id'])]}")
    return broken


def _answered(world: World) -> list[str]:
    tables, broken = world.record.tables, []
    rows = {(row["from_stream"], row["from_id"]): row for row in tables.rows("refused_events")}
    for row in rows.values():
        if not row["error"].strip() or (row["kind"] == "rejected" and not row["hint"].strip()):
            broken.append(f"I8: {row['from_stream']} {row['from_id']} gives no reason to act on")
    for request in world.requests:
        if request.is_bad and not any((names.INTAKE, entry_id) in rows for entry_id in request.entries):
            broken.append(f"I8: the bad request {request.number} has no row")
        if not request.is_bad and not request.video:
            broken.append(f"I1: request {request.number} was not answered")
    if world.was_wiped:
        return broken
    letters = {
        (fields.get("from_stream", ""), fields.get("from_id", ""))
        for stream in (names.REJECTED, names.DEAD)
        for fields in world.entries(stream)
    }
    broken += [f"I8: {key} has a letter and no row" for key in sorted(letters - rows.keys())]
    return broken + [f"I8: {key} has a row and no letter" for key in sorted(rows.keys() - letters)]


def _unaided(world: World) -> list[str]:
    if world.weather.breaks_things or not world.helped:
        return []
    return [f"I9: nothing had failed, and {world.helped} facts had to be published again by a guardian"]
