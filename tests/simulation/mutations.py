"""Mutations: each takes one guard out of the product, or out of what stands for a script here, and puts it back.

A guard whose absence no seed notices is not tested. `apply` is a context: while it is open the guard is gone, for
everything in this process. What is mutated is named as it is in the product, and so is the invariant that must fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final
from unittest import mock
from uuid import UUID

import msgspec

from actors.providers.purchase import _Purchase
from actors.stage import StageActor
from schema import flow
from schema.events import fact as facts
from schema.events.fact import Fact
from schema.money import ledger
from schema.money.calls import Ask
from schema.money.ledger import Ledger, Sent
from schema.money.reservation import permit
from schema.record import attempts
from schema.record.claims import Claim, Claims
from streams.gate import Gate
from streams.process import Process
from streams.transport.in_memory_server import InMemoryServer
from streams.transport.in_memory_streams import Group, position
from streams.transport.port import Entry, Outcome, Publication, Settlement, Subscription
from tests.simulation.loop import OWNER
from tests.simulation.record import claims, money
from tests.simulation.record.statements import replaced
from tests.simulation.record.tables import Rows, Tables
from tests.simulation.workers import Actor, Worker
from tests.simulation.world import World


class Mutation(msgspec.Struct, frozen=True):
    """A guard that can be taken out."""

    name: str
    #: What is missing while it is applied.
    removes: str
    #: By which invariants it is found, one of them at least.
    found_by: tuple[str, ...]
    apply: Callable[[], AbstractContextManager[None]]
    #: A seed that has noticed it, tried first: only a speed-up, any other may notice it as well.
    first_seed: int = 0


@contextmanager
def _statement(texts: tuple[str, ...], does: Callable[..., Rows]) -> Iterator[None]:
    put_back = replaced(texts, does)
    try:
        yield
    finally:
        put_back()


@contextmanager
def _without_reservation() -> Iterator[None]:
    """A paid call goes out, and the ledger has never heard of it."""
    asked: dict[UUID, Any] = {}

    async def reserve(purchase: _Purchase[Any, Any], _before: object) -> None:
        asked[purchase._holder] = purchase

    async def sent(_: Ledger, reservation: UUID, attempt: int) -> Sent:
        purchase = asked[reservation]
        adapter, buyer = purchase._adapter, purchase._buyer
        units = adapter.worst_case(purchase._order)
        ask = Ask(
            id=reservation,
            video=buyer.video,
            stage=buyer.stage,
            attempt=attempt,
            service=adapter.service,
            model=adapter.model,
            price="",
            units=units,
            amount_usd=Decimal(1),
            policy=adapter.resend,
        )
        permission = permit(
            reservation_id=ask.id,
            video=ask.video,
            stage=ask.stage,
            attempt=ask.attempt,
            service=ask.service,
            model=ask.model,
            amount_usd=ask.amount_usd,
            units=units,
        )
        return Sent(permission, ask, second_purchase=False, reserved_at=mock.ANY)

    with mock.patch.object(_Purchase, "_reserve", reserve), mock.patch.object(Ledger, "sent", sent):
        yield


@contextmanager
def _without_budgets() -> Iterator[None]:
    real = Ledger.__init__

    def rich(self: Ledger, postgres: Any, **_: Decimal) -> None:  # noqa: ANN401 - as the original
        real(self, postgres, video_budget_usd=Decimal(1000), day_budget_usd=Decimal(1000))

    with mock.patch.object(Ledger, "__init__", rich):
        yield


def _leave_whoever_asks(
    tables: Tables,
    now: datetime,
    video: str,
    stage: str,
    _attempt: int,
    *rest: Any,  # noqa: ANN401
) -> Rows:
    row = tables["video_stages"][video, stage]
    return claims.left(tables, now, row, *rest) if row["status"] == "running" else []


@contextmanager
def _without_fence() -> Iterator[None]:
    with _statement((attempts._LEAVE,), _leave_whoever_asks):
        yield


@contextmanager
def _without_lease() -> Iterator[None]:
    """Whoever asks gets the stage, although somebody is at work on it."""
    real = claims._look

    def look(*given: Any) -> Rows:  # noqa: ANN401 - as the statement
        return [{**row, "lease_left_s": -1.0} for row in real(*given)]

    from schema.record import claiming  # noqa: PLC0415 - its name is that of what it does

    with _statement((claiming._LOOK,), look):
        yield


@contextmanager
def _without_ledgers_halt() -> Iterator[None]:
    with (
        _statement((ledger._RESERVE,), partial(money.reserve, heeds_halts=False)),
        _statement((ledger._SENT,), partial(money.mark_sent, heeds_halts=False)),
    ):
        yield


@contextmanager
def _without_gates_halt() -> Iterator[None]:
    with (
        mock.patch.object(Gate, "takes", lambda gate: gate.state != "stopping"),
        mock.patch.object(Gate, "checkpoint", return_value=None),
    ):
        yield


@contextmanager
def _without_owner() -> Iterator[None]:
    real = InMemoryServer.settle

    def settle(server: InMemoryServer, _consumer: str, settlement: Settlement) -> Outcome:
        pending = server.owned(settlement.entry)
        return real(server, pending.consumer if pending else "", settlement)

    with mock.patch.object(InMemoryServer, "settle", settle):
        yield


@contextmanager
def _acknowledge_first() -> Iterator[None]:
    async def deliver(worker: Worker, entry: Entry, actor: Actor) -> None:
        if await worker.settle(Settlement(entry)) == "settled":
            await real(worker, entry, actor)

    async def settle(worker: Worker, settlement: Settlement) -> Outcome:
        for publication in settlement.publications:
            worker._transport.publish((publication,))
        return await real_settle(worker, settlement)

    real, real_settle = Worker.deliver, Worker.settle
    with mock.patch.object(Worker, "deliver", deliver), mock.patch.object(Worker, "settle", settle):
        yield


@contextmanager
def _groups_at_the_end() -> Iterator[None]:
    real = InMemoryServer.make_groups

    def make_groups(server: InMemoryServer, subscription: Subscription) -> list[str]:
        made = real(server, subscription)
        for source in made:
            stream = server.streams[source]
            stream.groups[subscription.group] = Group(last=stream.last)
        return made

    with mock.patch.object(InMemoryServer, "make_groups", make_groups):
        yield


@contextmanager
def _delete_what_is_done() -> Iterator[None]:
    real = InMemoryServer.settle

    def settle(server: InMemoryServer, consumer: str, settlement: Settlement) -> Outcome:
        outcome = real(server, consumer, settlement)
        if outcome == "settled":
            server.streams[settlement.entry.stream].entries.pop(position(settlement.entry.id), None)
        return outcome

    with mock.patch.object(InMemoryServer, "settle", settle):
        yield


@contextmanager
def _publish_first() -> Iterator[None]:
    """The fact is out before it is true, and is not said again when it is."""
    real_commit, real_attempt = Claims.commit, StageActor._attempt
    processes: dict[Any, Process] = {}

    async def commit(self: Claims, claim: Claim, output: msgspec.Struct) -> Fact | None:
        stage = flow.STAGE[claim.stage]
        at = "2026-01-31T12:00:00.000Z"
        said = Fact(stage.fact, facts.fact_id(*_key(claim)), claim.video, claim.stage, claim.attempt, at)
        processes[OWNER.get()].transport.publish((Publication(stage.stream, facts.to_fields(said)),))
        return await real_commit(self, claim, output)

    async def attempt(self: StageActor, claim: Claim, entry: Entry) -> tuple[Publication, ...]:
        processes[OWNER.get()] = self._process
        publications = await real_attempt(self, claim, entry)
        return tuple(each for each in publications if each.fields.get("type") != self._stage.fact)  # type: ignore[call-overload] # both kinds of fields

    with mock.patch.object(Claims, "commit", commit), mock.patch.object(StageActor, "_attempt", attempt):
        yield


def _key(claim: Claim) -> tuple[str, str, int]:
    return claim.video, claim.stage, claim.attempt


#: Guards whose absence must turn some seed red.
MUTATIONS: Final = (
    Mutation("no reservation", "money is set aside before a call (ledger.reserve)", ("I4",), _without_reservation),
    Mutation("no budgets", "the budgets of video and day (money.reserve)", ("I3",), _without_budgets),
    Mutation("no fence", "a commit names its attempt (attempts._LEAVE)", ("I1",), _without_fence, first_seed=197),
    Mutation("no lease", "a live lease keeps others away (claiming)", ("lease",), _without_lease),
    Mutation(
        "no halt in the ledger", "money asks for holds (money.reserve, mark_sent)", ("I7",), _without_ledgers_halt
    ),
    Mutation("no halt in the gate", "work asks the gate (Gate.takes, checkpoint)", ("I7",), _without_gates_halt),
    Mutation("no owner", "an entry is ended by whoever holds it (settle.lua)", ("bus",), _without_owner),
    Mutation("acknowledge first", "the record commits before the acknowledgement", ("I1", "I9"), _acknowledge_first),
    Mutation("groups at the end", "groups begin at 0, not at $", ("I1", "I8", "I9"), _groups_at_the_end),
    Mutation("delete what is done", "no XDEL on a stream that others read", ("I1", "I9"), _delete_what_is_done),
    Mutation("publish first", "the record commits before the fact is published", ("I1", "I9"), _publish_first),
)


def named(name: str) -> Mutation:
    """The mutation of this name; raises LookupError with the names there are."""
    for mutation in MUTATIONS:
        if mutation.name == name:
            return mutation
    raise LookupError(f"there is no mutation {name!r}: there are {', '.join(each.name for each in MUTATIONS)}")


def found(mutation: Mutation, seeds: range) -> tuple[int, tuple[str, ...]] | None:
    """The first seed that turns red by one of its invariants, and all that it broke; None: nothing noticed."""
    with ExitStack() as stack:
        stack.enter_context(mutation.apply())
        for seed in (*seeds[mutation.first_seed :], *seeds[: mutation.first_seed]):
            broken = World(seed).play().broken
            if any(what.startswith(mutation.found_by) for what in broken):
                return seed, broken
    return None
