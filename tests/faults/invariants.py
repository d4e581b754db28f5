"""What must hold after every fault, I1 to I4 and I8: each says in words where it does not, and nothing where it does.

They look at the record, at the ledger that the fakes keep in a process of their own, and at the price table. I4 holds
at any time, so `covered` may be asked at any moment: read the fakes' ledger first and the record after it.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

import asyncpg
import msgspec

from schema.money.calls import State
from schema.money.prices import Prices
from tests.fakes.ledger import Line

Record: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
#: The files of a search: nobody bills them, and no reservation is named.
_FREE = "media"

_ENDS = """
SELECT v.id, v.status, coalesce(v.reason, '') AS reason, v.ended_at IS NOT NULL AS has_ended,
       array(SELECT stage FROM video_stages
              WHERE video_id = v.id AND status IN ('open', 'running', 'retrying')) AS in_hand,
       array(SELECT stage FROM stage_attempts WHERE video_id = v.id AND outcome = 'done' AND v.admissions < 2
              GROUP BY stage HAVING count(*) > 1) AS done_again
  FROM video_queue AS v ORDER BY v.id"""

# The sums by the rows themselves, at each step that any of them makes; kept, so that no error hides what was seen.
_WATCH = """
CREATE TABLE public.seen_over (budget text, usd numeric, limit_usd numeric);
CREATE FUNCTION public.see_sums() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.seen_over
    SELECT * FROM (
        SELECT 'video ' || NEW.video_id, sum(coalesce(billed, amount)) AS usd, {video}::numeric AS most
          FROM money.reservations WHERE video_id = NEW.video_id AND state <> 'released'
        UNION ALL
        SELECT 'day ' || NEW.day, sum(coalesce(billed, amount)), {day}::numeric
          FROM money.reservations WHERE day = NEW.day AND state <> 'released') AS sums
     WHERE usd > most;
    RETURN NULL;
END $$;
CREATE TRIGGER see_sums AFTER INSERT OR UPDATE ON money.reservations
    FOR EACH ROW EXECUTE FUNCTION public.see_sums();"""

# Why a call is unknown is said with its mark, and nothing takes that away again; one that was settled at once has none.
_CALLS = """
SELECT id, state, amount, billed, model, take, second_purchase, reserved_at,
       state = 'unknown' OR (state = 'settled' AND why <> '') AS was_unknown FROM money.reservations"""

_REFUSED = "SELECT kind, from_stream, from_id, error, hint FROM refused_events ORDER BY kind, from_stream, from_id"


class Call(msgspec.Struct, frozen=True):
    """A call as the record has it."""

    state: State
    amount_usd: Decimal
    billed_usd: Decimal | None
    model: str
    take: int
    second_purchase: bool
    reserved_at: datetime
    #: Whether the record has ever marked it unknown: a late bill settles such a call, and the mark stays.
    was_unknown: bool


async def one_end(record: Record) -> list[str]:
    """I1: each accepted video has reached exactly one end, and no stage has ended twice."""
    broken = []
    for video in await record.fetch(_ENDS):
        name, status = video["id"], video["status"]
        if status not in ("completed", "failed", "cancelled") or not video["has_ended"] or video["in_hand"]:
            broken.append(f"I1: {name} has reached no end: it is {status}, and {video['in_hand']} are in hand")
        if status == "failed" and not video["reason"].strip():
            broken.append(f"I1: {name} failed, and nobody says why")
        broken += [f"I1: {stage} of {name} was done more than once" for stage in video["done_again"]]
    return broken


async def bought_once(record: Record, lines: Iterable[Line], prices: Prices) -> list[str]:
    """I2: a second charge for the same input and take only where the first was unknown, and then shown as one.

    Which is the first the record says, by when it was reserved: the bill of one that slept may come last.
    """
    calls, broken = await _calls(record), []
    charges: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for line in lines:
        call = calls.get(line.reservation)
        if call is not None and _bill(line, call, prices) > 0:
            charges[line.provider, line.input, call.take].append(line.reservation)
    for (provider, _, take), paid in charges.items():
        in_order = sorted(paid, key=lambda reservation: (calls[reservation].reserved_at, reservation))
        for first, again in itertools.pairwise(in_order):
            twice = f"I2: {provider} was paid twice for one input (take {take}), by {first} and {again}"
            if first == again or not calls[first].was_unknown:
                broken.append(f"{twice}: the first is {calls[first].state}")
            elif not calls[again].second_purchase:
                broken.append(f"{twice}: the record does not show it as a second purchase")
    return broken


async def watch_budgets(
    owner: Record, *, video_usd: Decimal = Decimal("3.00"), day_usd: Decimal = Decimal("150.00")
) -> None:
    """Have the database itself look at every instant; `within_budgets` tells what it saw."""
    await owner.execute(_WATCH.format(video=video_usd, day=day_usd))


async def within_budgets(owner: Record) -> list[str]:
    """I3: reserved and spent have never been above a budget since `watch_budgets`; counters equal their rows."""
    over = await owner.fetch("SELECT budget, max(usd) AS usd, limit_usd FROM public.seen_over GROUP BY 1, 3 ORDER BY 1")
    broken = [f"I3: {row['budget']} was at {row['usd']} dollars, over {row['limit_usd']}" for row in over]
    wrong = await owner.fetch("SELECT counter, name FROM money.contradictions ORDER BY counter, name")
    return broken + [f"I3: the counter of {row['counter']} {row['name']} does not equal its rows" for row in wrong]


async def covered(record: Record, lines: Iterable[Line], prices: Prices) -> list[str]:
    """I4, at any time: what the providers have billed is counted by the record, call by call."""
    calls, broken = await _calls(record), []
    for reservation, billed in _by_reservation(lines).items():
        call = calls.get(reservation)
        if call is None:
            broken.append(f"I4: a charge without a record: {reservation or 'of no reservation'}")
            continue
        bill_usd = sum((_bill(line, call, prices) for line in billed), Decimal(0))
        counted_usd = Decimal(0) if call.state in ("reserved", "released") else call.billed_usd
        if counted_usd is None:
            counted_usd = call.amount_usd
        if counted_usd < bill_usd or call.state in ("reserved", "released"):
            broken.append(f"I4: {reservation} was billed {bill_usd}, and is {call.state} with {counted_usd}")
    return broken


async def exact(record: Record, lines: Iterable[Line], prices: Prices) -> list[str]:
    """I4, when all is quiet: once unknowns are settled with what they were really billed, both sides are equal."""
    calls, billed, broken = await _calls(record), _by_reservation(lines), []
    recorded_usd = charged_usd = Decimal(0)
    for reservation, call in calls.items():
        bill_usd = sum((_bill(line, call, prices) for line in billed.get(reservation, ())), Decimal(0))
        charged_usd += bill_usd
        recorded_usd += bill_usd if call.state == "unknown" else call.billed_usd or Decimal(0)
        if call.state in ("reserved", "sent"):
            broken.append(f"I4: {reservation} is still {call.state}: nobody ends it")
        if call.state == "settled" and call.billed_usd != bill_usd:
            broken.append(f"I4: {reservation} is settled with {call.billed_usd}, and was billed {bill_usd}")
    if recorded_usd != charged_usd:
        broken.append(f"I4: the record has {recorded_usd}, the providers billed {charged_usd}")
    return broken


async def answered(record: Record, letters: Mapping[str, Sequence[Mapping[str, str]]]) -> list[str]:
    """I8: what was refused has its row, its letter and a reason; `letters`: fields by kind, rejected or dead."""
    sent = {
        (kind, letter.get("from_stream", ""), letter.get("from_id", "")): letter
        for kind, all_of_kind in letters.items()
        for letter in all_of_kind
    }
    rows = {(row["kind"], row["from_stream"], row["from_id"]): row for row in await record.fetch(_REFUSED)}
    broken = [f"I8: {key} has a letter and no row" for key in sent.keys() - rows.keys()]
    for key, row in rows.items():
        letter = sent.get(key)
        if letter is None:
            broken.append(f"I8: {key} has a row and no letter")
        elif letter.get("error", "") != row["error"]:
            broken.append(f"I8: {key} says {letter.get('error')!r} in its letter and {row['error']!r} in its row")
        if not row["error"].strip() or (row["kind"] == "rejected" and not row["hint"].strip()):
            broken.append(f"I8: {key} gives no reason to act on")
    return broken


async def _calls(record: Record) -> dict[str, Call]:
    return {str(row["id"]): Call(*list(row.values())[1:]) for row in await record.fetch(_CALLS)}


def _by_reservation(lines: Iterable[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.billed and line.provider != _FREE:
            found[line.reservation].append(line)
    return found


def _bill(line: Line, call: Call, prices: Prices) -> Decimal:
    return prices.bill_usd(line.provider, call.model, line.billed) if line.billed else Decimal(0)
