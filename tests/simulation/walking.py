"""Random walks over the record's own classes, on a real Postgres and in memory at once: same answers, same tables.

What is compared is what the product's classes return and what the tables hold; times only by whether there is one,
since two clocks never agree. A walk is drawn from a seed, so one that fails is walked again. Transactions come one
after the other: what two that overlap do to each other is not compared.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final
from unittest import mock
from uuid import UUID

import msgspec

from schema import flow
from schema.documents import Brief
from schema.errors import RefusedError
from schema.events.command import Command
from schema.money.abandoned import Abandoned
from schema.money.bought import Bought, Buyer, InputKey
from schema.money.calls import Ask, Policy, Quota, Refused
from schema.money.ledger import Ledger
from schema.money.overruns import Overruns
from schema.money.statement import Statement
from schema.record.admission import Queue
from schema.record.announcements import Announcements
from schema.record.audit import Audit
from schema.record.claims import Claim, Claims
from schema.record.commands import Commands
from schema.record.films import Films
from schema.record.gate import GateRecord
from schema.record.overdue import Overdue
from schema.record.owed import Debts
from schema.record.postgres import Postgres
from schema.record.refusals import Refusals
from schema.record.stops import AdmissionStops
from schema.record.videos import Videos

WORKERS: Final = ("host-worker-1-0a", "host-worker-2-0b")
STEPS: Final = 120


class Output(msgspec.Struct, frozen=True):
    """What a stage leaves."""

    text: str


class Side:
    """One of the two records, with all that is asked of it."""

    def __init__(self, postgres: Postgres) -> None:
        self.videos, self.queue, self.refusals = Videos(postgres), Queue(postgres), Refusals(postgres)
        self.claims = [Claims(postgres, worker=name, lease_s=4.0, max_crashes=2) for name in WORKERS]
        self.commands, self.gate, self.announcements = Commands(postgres), GateRecord(postgres), Announcements(postgres)
        budgets = {"video_budget_usd": Decimal("3.00"), "day_budget_usd": Decimal("8.00")}
        self.ledger = Ledger(postgres, **budgets)
        self.bought, self.abandoned, self.overruns = Bought(postgres), Abandoned(postgres), Overruns(postgres)
        self.statement, self.overdue, self.audit = Statement(postgres), Overdue(postgres), Audit(postgres)
        self.debts, self.stops, self.films = Debts(postgres, grace_s=0.0), AdmissionStops(postgres), Films(postgres)
        #: Claims that were given, stale ones too.
        self.given: list[Claim] = []


Said = Callable[[Side], Awaitable[object]]


class Walk:
    """Draws what is said next; both sides are told the same."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - the same each time is what is wanted
        self._count = self._entries = 0
        self._videos: list[str] = []
        self._asks: list[Ask] = []

    def draw(self) -> tuple[str, Said]:
        """What is said, in words, and how."""
        self._count += 1
        kinds: dict[Callable[[], tuple[str, Said]], int] = {
            self._accept: 6 if self._count > 5 else 60,
            self._dispatch: 10,
            self._claim: 24,
            self._end: 22,
            self._buy: 24,
            self._settle: 14,
            self._command: 14,
            self._guard: 10,
            self._ask: 8,
        }
        return self.chance.choices(list(kinds), list(kinds.values()))[0]()

    def _video(self) -> str:
        return self.chance.choice(self._videos or ["nobody"])

    def _accept(self) -> tuple[str, Said]:
        key, priority, name = f"key {self.chance.randint(0, 5)}", self.chance.randint(0, 9), f"v{self._count:03d}"
        brief = Brief(topic="t", notes="n", length_s=float(self.chance.choice((30, 60))))

        async def say(side: Side) -> object:
            with mock.patch("schema.record.videos._new_id", return_value=name):
                accepted = await side.videos.accept(key=key, priority=priority, brief=brief, traceparent="")
            if accepted.created and accepted.video not in self._videos:
                self._videos.append(accepted.video)
            return accepted

        return f"accept {key}", say

    def _dispatch(self) -> tuple[str, Said]:
        most = self.chance.randint(2, 3)

        async def say(side: Side) -> object:
            moved = await side.queue.promote(capacity=2, age_per_priority_s=600.0)
            admitted = await side.queue.admit(most=most, age_per_priority_s=600.0)
            # those that were admitted together are in no order
            unpublished = sorted(each.video for each in await side.queue.unpublished())
            await side.queue.mark_published(unpublished[:1])
            return moved, admitted, unpublished, await side.queue.in_hand(), await side.queue.mirrored()

        return f"dispatch {most}", say

    def _claim(self) -> tuple[str, Said]:
        video, who = self._video(), self.chance.randint(0, 1)
        stage = self.chance.choice((*flow.STAGES[:1], *flow.STAGES))
        entry, delayed, again = (
            f"s/{self.chance.randint(1, 2)}-0",
            self.chance.random() < 0.3,
            self.chance.random() < 0.5,
        )

        async def say(side: Side) -> object:
            answer = await side.claims[who].claim(video, stage, entry=entry, delayed=delayed, again=again)
            if isinstance(answer, Claim):
                side.given.append(answer)
            return type(answer).__name__, answer

        return f"claim {stage.name} of {video}", say

    def _end(self) -> tuple[str, Said]:
        draw, verb = self.chance.random(), self.chance.choice(("renew", "commit", "commit", "fail", "retry", "release"))
        delay_s = self.chance.choice((-1.0, 500.0))

        async def say(side: Side) -> object:
            if not side.given:
                return None
            claim = side.given[-1 - int(draw * draw * min(8, len(side.given)))]
            claims = side.claims[0]
            match verb:
                case "renew":
                    return await claims.renew(claim, 0.5)
                case "commit":
                    return await claims.commit(claim, Output("o"))
                case "fail":
                    return await claims.fail(claim, "it failed") if draw < 0.3 else None
                case "retry":
                    return await claims.retry_later(claim, "later", delay_s)
            return await claims.release(claim, "halted")

        return verb, say

    def _buy(self) -> tuple[str, Said]:
        draw, usd = self.chance.random(), self.chance.choice((Decimal("0.40"), Decimal("1.30"), Decimal("2.00")))
        key = InputKey(f"input {self.chance.randint(1, 3)}", self.chance.randint(0, 1))
        holder = UUID(int=self.chance.getrandbits(128))
        policies: tuple[Policy, ...] = ("keyed", "blind")
        policy = self.chance.choice(policies)
        quotas = (Quota("q", 6, 3600.0),) if draw < 0.3 else ()
        forgets, sends, attempt_off = self.chance.random() < 0.2, self.chance.random() < 0.8, self.chance.random() < 0.1

        async def say(side: Side) -> object:
            if not side.given:
                return None
            claim = side.given[-1 - int(draw * draw * min(8, len(side.given)))]
            attempt = max(1, claim.attempt - attempt_off)
            claimed = await side.bought.claim(key, Buyer(claim.video, claim.stage, attempt), holder)
            ask = Ask(
                id=holder,
                video=claim.video,
                stage=claim.stage,
                attempt=attempt,
                service="s",
                model="m",
                price="1",
                units={"cents": 40},
                amount_usd=usd,
                policy=policy,
                input_hash=None if forgets else key.hash,
                take=key.take,
            )
            reserved = await side.ledger.reserve(ask, quotas)
            if ask not in self._asks and not isinstance(reserved, Refused):
                self._asks.append(ask)
            again = await side.ledger.reserve(ask, quotas) if draw < 0.2 else None
            sent: object = None
            if sends and not isinstance(reserved, Refused):
                answer = await side.ledger.sent(holder, attempt)
                sent = (type(answer).__name__, getattr(answer, "why", ""), getattr(answer, "second_purchase", None))
            return type(claimed).__name__, claimed, reserved, again, sent

        return f"buy {key.hash} for {usd}", say

    def _settle(self) -> tuple[str, Said]:
        if not self._asks:
            return self._ask()
        ask = self._asks[-1 - int(self.chance.random() ** 2 * min(6, len(self._asks)))]
        verb = self.chance.choice(("settle", "settle", "release", "unknown", "send", "let go", "strike off"))
        share, keeps = self.chance.choice((Decimal("0.5"), Decimal(1), Decimal("1.1"))), self.chance.random() < 0.7
        share = min(share, Decimal(1)) if self.chance.random() < 0.8 else share
        attempt = ask.attempt + self.chance.randint(0, 1)

        async def say(side: Side) -> object:
            key = InputKey(ask.input_hash or "", ask.take)
            match verb:
                case "settle":
                    result = b'{"a": 1}' if keeps else None
                    ended = await side.ledger.settle(ask.id, ask.amount_usd * share, used={}, result=result)
                    over = [each.reservation for each in await side.overruns.not_held()]
                    return ended, over, [await side.overruns.hold(each) for each in over]
                case "release":
                    return await side.ledger.release(ask.id, "said")
                case "unknown":
                    return await side.ledger.unknown(ask.id, "said")
                case "send":
                    sent = await side.ledger.sent(ask.id, attempt)
                    return type(sent).__name__, getattr(sent, "why", "")
                case "let go":
                    await side.bought.let_go(key, ask.id)
            return await side.bought.strike_off(key)

        return f"{verb} {ask.id}", say

    def _entry(self) -> str:
        self._entries += 1
        return f"{1000 + self._entries}-0"

    def _command(self) -> tuple[str, Said]:
        video, by = self._video(), self.chance.choice(("operator", "cost"))
        cause = "day_budget" if by == "cost" else ""
        common: dict[str, Any] = {"by": by, "cause": cause, "id": self.chance.choice(("", f"c{self._count}"))}
        command: Command = self.chance.choice(
            (
                *(Command(verb, **common) for verb in ("halt", "pause", "resume", "resume", "resume")),
                Command("mode", mode=self.chance.choice(("economy", "normal")), **common),
                Command("mode", mode="economy", video=video, **common),
                Command("throttle", jobs=self.chance.choice(("1", "all")), **common),
                Command("cancel", video=video, **common),
                Command("retry", video=video, **common),
                Command(
                    "retry", video=video, from_stage=self.chance.choice(("script", "media")), fresh="yes", **common
                ),
                Command("release_gpu", **common),
            )
        )
        entry, directly = self._entry(), self.chance.random() < 0.4
        said_before, ahead, anew = self.chance.random() < 0.15, self.chance.random() < 0.3, self.chance.random() < 0.06
        entry = f"{1000 + max(1, self._entries - 1)}-0" if said_before else entry
        named = msgspec.structs.replace(command, id=command.id or f"d{self._count}")

        async def say(side: Side) -> object:
            if anew:
                await side.commands.begin_anew()
            if directly:
                try:
                    return await side.commands.apply(named)
                except RefusedError as error:
                    return str(error)
            held = await side.gate.hold_ahead(command, entry_id=entry) if ahead and command.verb == "halt" else None
            answers = await side.commands.apply_entries([(entry, command)], after=entry)
            await side.commands.answered(entry)
            return held, [(each.did, each.gate, str(each.error)) for each in answers]

        return f"{command.verb} by {by}", say

    def _guard(self) -> tuple[str, Said]:
        limit_s, last = self.chance.choice((-1.0, 1000.0)), self.chance.random() < 0.2
        draw = self.chance.random()

        async def say(side: Side) -> object:
            running = await side.overdue.running(steady_s=4.0)
            found = sorted(running, key=lambda each: (each.video, each.stage))
            ended = None
            if found and draw < 0.4:
                late = found[int(draw * 100) % len(found)]
                ended = await side.overdue.time_out(late, limit_s=limit_s, last=last, reason="late")
            told: list[object] = [await side.abandoned.turn() if draw > 0.3 else None, await side.audit.mend()]
            told += [await side.audit.never_finished(), await side.films.next()]
            told += [sorted(each.id for each in await side.commands.unsent())]
            owed = sorted((each.video, each.stage, each.stream) for each in await side.debts.owed())
            return found, ended, told, owed

        return "guard", say

    def _ask(self) -> tuple[str, Said]:
        number = self._count

        async def say(side: Side) -> object:
            due = await side.announcements.due()
            await side.announcements.said(due[:2])
            await side.commands.tidy()
            await side.refusals.note("dead", stream="s", entry_id=f"{number // 3}-0", error="e", hint="h")
            truth = await side.gate.read()
            told: list[object] = [await side.gate.acknowledged("cost"), await side.gate.acknowledged_orders("cost")]
            told += [
                await side.videos.counts(),
                await side.videos.known("key 1"),
                await side.videos.waiting(most=2),
            ]
            told += [await side.statement.in_hand(), await side.statement.today(), await side.statement.last_hour_usd()]
            told += [
                await side.statement.contradictions(),
                await side.stops.standing(),
                await side.overdue.unheld_s() > 0,
            ]
            return [(each.type, each.video, each.reason) for each in due], truth, told

        return "ask", say
