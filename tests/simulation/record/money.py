"""What the ledger's functions do: the same steps as schema/record/sql/0002_money.sql, on tables in memory."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from schema.money import bought, ledger, overruns, statement as statements
from tests.simulation.record.statements import statement
from tests.simulation.record.tables import Row, Rows, Tables, by, newest_first

_ZERO = Decimal(0)
_NOTHING = {"reserved": _ZERO, "spent": _ZERO}
_IN_HAND = ("reserved", "sent")
_MILLIONTH = Decimal("0.000001")
#: A row of costs holds ten dollars at most.
_MOST_USD = Decimal(10)


def halted(tables: Tables) -> bool:
    """Whether the gate is shut."""
    return any(row["kind"] == "halt" for row in tables.rows("holds"))


def is_current(tables: Tables, video: str, stage: str, attempt: int) -> bool:
    """Whether this attempt may still spend."""
    row = tables.one("video_stages", (video, stage))
    return bool(row and row["attempt"] == attempt and row["status"] not in ("done", "failed", "dropped"))


def _counters(tables: Tables, day: date, video: str) -> tuple[Row, Row]:
    of_day = tables.one("days", day) or tables.put("days", day, {"day": day, **_NOTHING})
    return of_day, _counter(tables, video)


def _counter(tables: Tables, video: str) -> Row:
    return tables.one("money_videos", video) or tables.put("money_videos", video, {"video_id": video, **_NOTHING})


def _count(tables: Tables, day: date, video: str, reserved: Decimal, spent: Decimal) -> None:
    of_day, of_video = _counters(tables, day, video)
    for table, key, row in (("days", day, of_day), ("money_videos", video, of_video)):
        sums = {"reserved": row["reserved"] + reserved, "spent": row["spent"] + spent}
        assert min(sums.values()) >= 0, "a counter is never below nothing"
        tables.change(table, key, **sums)


def _move(tables: Tables, now: datetime, row: Row, to: str, billed: Decimal | None, why: str | None) -> None:
    cost = {"settled": billed, "unknown": row["amount"]}.get(to)
    reserved = -row["amount"] if row["state"] in _IN_HAND else _ZERO
    spent = (cost or _ZERO) - (row["amount"] if row["state"] == "unknown" else _ZERO)
    _count(tables, row["day"], row["video_id"], reserved, spent)
    tables.change(
        "reservations",
        row["id"],
        **{"state": to, "billed": billed, "ended_at": now, "why": row["why"] if why is None else why},
    )
    if row["state"] == "unknown":
        for cost_row in tables.rows("pipeline_costs", lambda cost: cost["reservation_id"] == row["id"]):
            tables.delete("pipeline_costs", cost_row["id"])
    while cost is not None:
        number, part = tables.identity(), min(_MOST_USD, cost)
        columns = {name: row[name] for name in ("video_id", "stage", "attempt", "service")}
        paid = {"id": number, **columns, "amount": part, "timestamp": row["reserved_at"], "outcome": to}
        tables.put("pipeline_costs", number, {**paid, "reservation_id": row["id"]})
        cost = cost - part if cost > part else None


def _turn_older(tables: Tables, now: datetime, video: str, stage: str, before: int) -> None:
    def is_left(row: Row) -> bool:
        older = (row["video_id"], row["stage"]) == (video, stage) and row["attempt"] < before
        return older and row["state"] in _IN_HAND

    for row in tables.rows("reservations", is_left):
        to = "released" if row["state"] == "reserved" else "unknown"
        _move(tables, now, row, to, None, "its attempt was superseded")


def _free(tables: Tables, now: datetime, keys: list[tuple[str, int]]) -> Rows:
    return [tables.change("purchases", key, state="free", changed_at=now) for key in keys]


def _use_quotas(tables: Tables, now: datetime, quotas: list[dict[str, Any]]) -> str | None:
    for quota in quotas:
        since = now - timedelta(seconds=quota["window_s"] * (1 + 1 / 60))
        rows = tables.rows("quota_uses", lambda row: row["name"] == quota["name"] and row["slice"] > since)  # noqa: B023 - used at once
        if sum(row["used"] for row in rows) >= quota["most"]:
            return str(quota["name"])
    for quota in quotas:
        width_s = quota["window_s"] / 60
        slice_ = datetime.fromtimestamp(now.timestamp() // width_s * width_s, UTC)
        used = tables.one("quota_uses", (quota["name"], slice_))
        row = {"name": quota["name"], "slice": slice_, "used": 1 + (used["used"] if used else 0)}
        tables.put("quota_uses", (quota["name"], slice_), row)
    return None


@statement(bought._CLAIM)
def _claim(
    tables: Tables, now: datetime, holder: UUID, video: str, stage: str, attempt: int, hash_: str, take: int
) -> Rows:
    answer: Row = dict.fromkeys(
        ("answer", "result", "artifacts", "held_by", "previous", "previous_state", "previous_is_ours")
    )
    key = (hash_, take)
    row = tables.one("purchases", key)
    if row is None or row["state"] != "bought":
        _counter(tables, video)
        if not is_current(tables, video, stage, attempt):
            return [{**answer, "answer": "superseded"}]
        _turn_older(tables, now, video, stage, attempt)
    if row is not None and row["state"] == "bought":
        tables.put("uses", (video, stage, hash_, take), {"video_id": video, "stage": stage, "input_hash": hash_})
        return [{**answer, "answer": "bought", "result": row["result"], "artifacts": row["artifacts"]}]
    if row is not None and row["state"] == "claimed" and row["holder"] != holder:
        other = tables.one("video_stages", (row["video_id"], row["stage"]))
        if other and other["attempt"] == row["attempt"] and other["status"] == "running":
            return [{**answer, "answer": "held", "held_by": row["video_id"]}]
    new = {"input_hash": hash_, "take": take, "state": "claimed", "holder": holder, "video_id": video}
    new |= {"stage": stage, "attempt": attempt, "result": None, "artifacts": None, "changed_at": now}
    tables.put("purchases", key, new)
    before = _billed_before(tables, hash_, take)
    if before is not None:
        is_ours = (before["video_id"], before["stage"]) == (video, stage)
        answer |= {"previous": before["id"], "previous_state": before["state"], "previous_is_ours": is_ours}
    return [{**answer, "answer": "claimed"}]


def _billed_before(tables: Tables, hash_: str, take: int) -> Row | None:
    def may_be(row: Row) -> bool:
        return (row["input_hash"], row["take"]) == (hash_, take) and row["state"] in ("sent", "settled", "unknown")

    rows = newest_first(tables.rows("reservations", may_be), "reserved_at")
    return next((row for row in rows if row["state"] == "unknown"), rows[0] if rows else None)


@statement("SELECT money.let_go($1, $2, $3)")
def _let_go(tables: Tables, now: datetime, holder: UUID, hash_: str, take: int) -> Rows:
    row = tables.one("purchases", (hash_, take))
    if row and row["holder"] == holder and row["state"] == "claimed":
        _free(tables, now, [(hash_, take)])
    return [{"let_go": None}]


@statement("SELECT money.strike_off($1, $2) AS was")
def _strike_off(tables: Tables, now: datetime, hash_: str, take: int) -> Rows:
    row = tables.one("purchases", (hash_, take))
    was = bool(row and row["state"] == "bought")
    if was:
        tables.change("purchases", (hash_, take), state="struck", changed_at=now)
    return [{"was": was}]


@statement(ledger._RESERVE)
def reserve(
    tables: Tables,
    now: datetime,
    id_: UUID,
    video: str,
    stage: str,
    attempt: int,
    service: str,
    model: str,
    price: str,
    units: bytes,
    amount: Decimal,
    policy: str,
    hash_: str | None,
    take: int,
    video_limit: Decimal,
    day_limit: Decimal,
    quotas: bytes,
    *,
    heeds_halts: bool = True,
) -> Rows:
    """Set money aside; `heeds_halts` is for whoever takes that out, to see that it is missed."""
    day = now.astimezone(UTC).date()
    answer: Row = {"answer": "reserved", "second": None, "left_usd": None, "quota": None, "reserved_at": None}
    of_day, of_video = _counters(tables, day, video)
    if (before := tables.one("reservations", id_)) is not None:
        return [{**answer, "second": before["second_purchase"], "reserved_at": before["reserved_at"]}]
    if not is_current(tables, video, stage, attempt):
        return [{**answer, "answer": "superseded"}]
    _turn_older(tables, now, video, stage, attempt)
    left_claims = tables.rows(
        "purchases",
        lambda row: (row["video_id"], row["stage"], row["state"]) == (video, stage, "claimed")
        and row["attempt"] < attempt,
    )
    _free(tables, now, [(row["input_hash"], row["take"]) for row in left_claims])
    if heeds_halts and halted(tables):
        return [{**answer, "answer": "halted"}]
    if tables.one("refused_prices", (service, model, price)):
        return [{**answer, "answer": "price_refused"}]
    claim = tables.one("purchases", (hash_, take))
    if hash_ is not None and not (claim and claim["holder"] == id_ and claim["state"] == "claimed"):
        return [{**answer, "answer": "superseded"}]
    of_day, of_video = _counters(tables, day, video)
    for name, limit, row in (("over_video", video_limit, of_video), ("over_day", day_limit, of_day)):
        left_usd = limit - row["reserved"] - row["spent"]
        if amount > left_usd:
            return [{**answer, "answer": name, "left_usd": left_usd}]
    if (quota := _use_quotas(tables, now, msgspec.json.decode(quotas))) is not None:
        return [{**answer, "answer": "over_quota", "quota": quota}]
    second = policy != "free" and hash_ is not None and _billed_before(tables, hash_, take) is not None
    new = {"id": id_, "video_id": video, "stage": stage, "attempt": attempt, "service": service, "model": model}
    new |= {"price": price, "units": units, "amount": amount.quantize(_MILLIONTH), "billed": None, "day": day}
    new |= {"policy": policy, "input_hash": hash_, "take": take, "second_purchase": second, "state": "reserved"}
    new |= {"sends": 0, "why": "", "reserved_at": now, "sent_at": None, "ended_at": None}
    tables.put("reservations", id_, new)
    _count(tables, day, video, new["amount"], _ZERO)
    return [{**answer, "second": second, "reserved_at": now}]


def _reservation(tables: Tables, id_: UUID) -> Row:
    row = tables.one("reservations", id_)
    if row is None:
        raise LookupError(f"there is no reservation {id_}")
    return row


@statement(ledger._SENT)
def mark_sent(tables: Tables, now: datetime, id_: UUID, attempt: int, *, heeds_halts: bool = True) -> Rows:
    """The call is about to be made."""
    row = _reservation(tables, id_)
    fits = row["state"] == "reserved" and row["attempt"] == attempt
    again = row["state"] == "unknown" and row["attempt"] <= attempt and row["policy"] in ("keyed", "queryable")
    if row["state"] == "sent" and row["attempt"] == attempt:
        answer = "sent"
    elif not (fits or again) or not is_current(tables, row["video_id"], row["stage"], attempt):
        answer = "superseded"
    elif heeds_halts and halted(tables):
        answer = "halted"
    else:
        state = "sent" if row["state"] == "reserved" else row["state"]
        changes: Row = {"state": state, "attempt": attempt, "sends": row["sends"] + 1, "sent_at": now}
        row, answer = tables.change("reservations", id_, **changes), "sent"
    return [{"answer": answer, **row}]


@statement(ledger._SETTLE)
def _settle(
    tables: Tables,
    now: datetime,
    id_: UUID,
    billed: Decimal,
    _used: bytes,
    _request_id: str,
    result: str | None,
    artifacts: bytes | None,
) -> Rows:
    row = _reservation(tables, id_)
    answer = row["state"]
    if row["state"] in ("sent", "unknown"):
        billed = billed.quantize(_MILLIONTH)
        _move(tables, now, row, "settled", billed, None)
        if billed > row["amount"]:
            tables.put("overruns", id_, {"reservation_id": id_, "at": now, "held_at": None})
            tables.put("refused_prices", (row["service"], row["model"], row["price"]), {"reservation_id": id_})
        if row["input_hash"] is not None and result is not None:
            _keep(tables, now, row, result, artifacts)
        elif row["input_hash"] is not None:
            _let_go(tables, now, id_, row["input_hash"], row["take"])
        answer = "settled"
    return [{"answer": answer, "overrun": tables.one("overruns", id_) is not None}]


def _keep(tables: Tables, now: datetime, row: Row, result: str, artifacts: bytes | None) -> None:
    key = (row["input_hash"], row["take"])
    before = tables.one("purchases", key)
    if before is None or before["state"] in ("claimed", "free"):
        columns = {name: row[name] for name in ("input_hash", "take", "video_id", "stage", "attempt")}
        columns = before or columns
        kept = {"state": "bought", "holder": row["id"], "result": result, "artifacts": artifacts, "changed_at": now}
        tables.put("purchases", key, {**columns, **kept})
    use = (row["video_id"], row["stage"], *key)
    tables.put("uses", use, {"video_id": row["video_id"], "stage": row["stage"], "input_hash": row["input_hash"]})


@statement(ledger._RELEASE)
def _release(tables: Tables, now: datetime, id_: UUID, why: str) -> Rows:
    row = tables.one("reservations", id_)
    if row is None:
        return [{"state": "released"}]
    if row["input_hash"] is not None:
        _let_go(tables, now, id_, row["input_hash"], row["take"])
    if row["state"] not in _IN_HAND:
        return [{"state": row["state"]}]
    _move(tables, now, row, "released", None, why)
    return [{"state": "released"}]


@statement(ledger._UNKNOWN)
def _unknown(tables: Tables, now: datetime, id_: UUID, why: str) -> Rows:
    row = _reservation(tables, id_)
    if row["input_hash"] is not None:
        _let_go(tables, now, id_, row["input_hash"], row["take"])
    if row["state"] != "sent":
        return [{"state": row["state"]}]
    _move(tables, now, row, "unknown", None, why)
    return [{"state": "unknown"}]


def _is_abandoned(tables: Tables, row: Row) -> bool:
    stage = tables.one("video_stages", (row["video_id"], row["stage"]))
    ended = stage is None or stage["attempt"] > row["attempt"] or stage["status"] in ("done", "failed", "dropped")
    return row["state"] in _IN_HAND and ended


@statement("SELECT id FROM money.abandoned ORDER BY id")
def _abandoned(tables: Tables, _: datetime) -> Rows:
    return by(tables.rows("reservations", lambda row: _is_abandoned(tables, row)), "id")


@statement("SELECT money.turn_abandoned($1) AS turned")
def _turn_abandoned(tables: Tables, now: datetime, id_: UUID) -> Rows:
    row = _reservation(tables, id_)
    if not _is_abandoned(tables, row):
        return [{"turned": False}]
    if row["input_hash"] is not None:
        _let_go(tables, now, id_, row["input_hash"], row["take"])
    to = "released" if row["state"] == "reserved" else "unknown"
    _move(tables, now, row, to, None, "its attempt has ended")
    return [{"turned": True}]


@statement(f"SELECT reserved, spent FROM money.days WHERE day = {statements._TODAY}")
def _today(tables: Tables, now: datetime) -> Rows:
    row = tables.one("days", now.astimezone(UTC).date())
    return [row] if row else []


@statement("SELECT reserved, spent FROM money.videos WHERE video_id = $1")
def _of_video(tables: Tables, _: datetime, video: str) -> Rows:
    row = tables.one("money_videos", video)
    return [{"reserved": row["reserved"], "spent": row["spent"]}] if row else []


@statement(
    """SELECT coalesce(sum(amount), 0) AS usd FROM pipeline_costs
        WHERE "timestamp" > now() - make_interval(secs => $1)"""
)
def _last_usd(tables: Tables, now: datetime, window_s: float) -> Rows:
    since = now - timedelta(seconds=window_s)
    rows = tables.rows("pipeline_costs", lambda row: row["timestamp"] > since)
    return [{"usd": sum((row["amount"] for row in rows), _ZERO)}]


@statement(
    """SELECT v.id, m.reserved, m.spent FROM video_queue AS v JOIN money.videos AS m ON m.video_id = v.id
        WHERE v.status IN ('queued', 'processing') AND m.reserved + m.spent > 0
        ORDER BY m.spent DESC, v.id LIMIT $1"""
)
def _dearest(tables: Tables, _: datetime, most: int) -> Rows:
    live = tables.rows("video_queue", lambda row: row["status"] in ("queued", "processing"))
    money = [{**row, "id": row["video_id"]} for video in live if (row := tables.one("money_videos", video["id"]))]
    dear = [row for row in money if row["reserved"] + row["spent"] > 0]
    return sorted(dear, key=lambda row: (-row["spent"], row["id"]))[:most]


def _overrun(tables: Tables, id_: UUID) -> Row:
    return tables["reservations"][id_]


@statement(f"{overruns._READ} WHERE o.held_at IS NULL ORDER BY o.at")
def _not_held(tables: Tables, _: datetime) -> Rows:
    rows = by(tables.rows("overruns", lambda row: row["held_at"] is None), "at", "reservation_id")
    return [_overrun(tables, row["reservation_id"]) for row in rows]


@statement(f"{overruns._READ} WHERE o.reservation_id = $1")
def _one_overrun(tables: Tables, _: datetime, id_: UUID) -> Rows:
    return [_overrun(tables, id_)] if tables.one("overruns", id_) else []


@statement(overruns._IS_ANOTHER)
def _is_another(tables: Tables, _: datetime, cause: str, who: str, id_: UUID) -> Rows:
    row, given = tables.one("overruns", id_), tables.one("acknowledged_causes", (cause, who))
    if row and given and row["held_at"] is None and row["at"] > given["acknowledged_at"]:
        return [tables.delete("acknowledged_causes", (cause, who))]
    return []


@statement("UPDATE money.overruns SET held_at = now() WHERE reservation_id = $1 AND held_at IS NULL")
def _held(tables: Tables, now: datetime, id_: UUID) -> Rows:
    row = tables.one("overruns", id_)
    return [tables.change("overruns", id_, held_at=now)] if row and row["held_at"] is None else []


@statement("SELECT id, video_id, amount FROM pipeline_costs WHERE amount < 0 OR amount > 10 LIMIT $1")
def _implausible(tables: Tables, _: datetime, most: int) -> Rows:
    return tables.rows("pipeline_costs", lambda row: row["amount"] < 0 or row["amount"] > _MOST_USD)[:most]


@statement("SELECT * FROM money.contradictions ORDER BY counter, name LIMIT 100")
def contradictions(tables: Tables, _: datetime) -> Rows:
    """Counters that do not equal their rows."""
    sums: dict[tuple[str, str], list[Decimal]] = {}

    def add(counter: str, name: str, place: int, usd: Decimal) -> None:
        sums.setdefault((counter, name), [_ZERO] * 4)[place] += usd

    for row in tables.rows("reservations"):
        if row["state"] in _IN_HAND:
            add("day", str(row["day"]), 1, row["amount"])
            add("video", row["video_id"], 1, row["amount"])
        if row["state"] in ("settled", "unknown"):
            cost = row["amount"] if row["billed"] is None else row["billed"]
            add("costs of a reservation", str(row["id"]), 2, cost)
    for row in tables.rows("pipeline_costs"):
        add("day", str(row["timestamp"].astimezone(UTC).date()), 3, row["amount"])
        add("video", row["video_id"], 3, row["amount"])
        add("costs of a reservation", str(row["reservation_id"]), 3, row["amount"])
    for row in tables.rows("days"):
        add("day", str(row["day"]), 0, row["reserved"])
        add("day", str(row["day"]), 2, row["spent"])
    for row in tables.rows("money_videos"):
        add("video", row["video_id"], 0, row["reserved"])
        add("video", row["video_id"], 2, row["spent"])
    columns = ("counted_reserved", "rows_reserved", "counted_spent", "rows_spent")
    return [
        {"counter": counter, "name": name, **dict(zip(columns, usd, strict=True))}
        for (counter, name), usd in sorted(sums.items())
        if usd[0] != usd[1] or usd[2] != usd[3]
    ]
