"""The journal: what was sent and what was paid for, in plain files that outlive the database.

One line a step, in JSON, flushed to the disk before the step goes on; a file a day, written by every process of this
machine at once. A backup that is restored imports what is newer than itself, before it admits anything; importing
twice changes nothing. A line that a crash tore is passed over and counted. Another machine has a journal of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import msgspec
import structlog

from schema.clock import Clock, SystemClock
from schema.money.bought import StoredFile
from schema.money.calls import Ask
from schema.record.postgres import Postgres

_log = structlog.get_logger(__name__)
_LEARN = "SELECT money.learn_sent($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS learnt"
_SETTLE = "SELECT answer FROM money.settle($1, $2, $3, $4, $5, $6)"
_RELEASE = "SELECT money.release($1, $2) AS state"
_STATE = "SELECT (SELECT state FROM money.reservations WHERE id = $1) AS state"
#: A step is written down some time after its money was reserved: so many files more are looked at.
_DAYS_BEFORE = 1


class SentLine(msgspec.Struct, frozen=True, tag="sent", tag_field="step"):
    """A call is about to be made."""

    at: datetime
    ask: Ask
    second_purchase: bool
    reserved_at: datetime


class PaidLine(msgspec.Struct, frozen=True, tag="paid", tag_field="step"):
    """It was billed; `result` is the adapter's answer as JSON text, None where it left none."""

    at: datetime
    id: UUID
    billed_usd: Decimal
    used: dict[str, int]
    request_id: str
    result: str | None
    files: tuple[StoredFile, ...]


class ReleasedLine(msgspec.Struct, frozen=True, tag="released", tag_field="step"):
    """It was not billed, for certain."""

    at: datetime
    id: UUID
    why: str


Line = SentLine | PaidLine | ReleasedLine


class Imported(msgspec.Struct, frozen=True):
    """What an import learnt: calls that the record did not know as sent, and bills it did not have."""

    sent: int
    settled: int
    released: int
    torn_lines: int


class Journal:
    """The files of one folder; callable from any thread and any process."""

    def __init__(self, folder: Path, *, clock: Clock | None = None) -> None:
        self._folder, self._clock = folder, clock or SystemClock()

    def sent(self, ask: Ask, *, second_purchase: bool, reserved_at: datetime) -> None:
        """Write down that a call is about to be made; raises OSError where the disk does not take it."""
        self._append(SentLine(self._clock.now(), ask, second_purchase, reserved_at))

    def paid(
        self,
        reservation: UUID,
        billed_usd: Decimal,
        *,
        used: dict[str, int],
        request_id: str,
        result: bytes | None,
        files: tuple[StoredFile, ...],
    ) -> None:
        """Write down what was paid, and for what."""
        text = None if result is None else result.decode()
        self._append(PaidLine(self._clock.now(), reservation, billed_usd, used, request_id, text, files))

    def released(self, reservation: UUID, why: str) -> None:
        """Write down that nothing was paid after all."""
        self._append(ReleasedLine(self._clock.now(), reservation, why))

    def _append(self, line: Line) -> None:
        path = self._folder / f"{line.at.astimezone(UTC):%Y-%m-%d}.jsonl"
        is_new = not path.exists()
        self._folder.mkdir(parents=True, exist_ok=True)
        # one write to the end of the file, which no other process's write divides; the line break before it ends what
        # a crash may have torn
        whole = b"\n" + msgspec.json.encode(line) + b"\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.write(descriptor, whole) != len(whole):
                raise OSError(f"the journal {path} took only a part of a line: is the disk full?")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _flush_folder(self._folder)

    def lines(self, since: date) -> Iterator[Line | None]:
        """All lines of the files from `since` on, in order; None for one that is not whole."""
        for path in sorted(self._folder.glob("*.jsonl")):
            if path.stem >= since.isoformat():
                with path.open("rb") as file:
                    for text in file:
                        if text.strip():
                            yield _decoded(text)


async def import_newer(journal: Journal, postgres: Postgres) -> Imported:
    """Teach a restored record what the journal knows and it does not; call it before anything is admitted.

    What was sent and has no bill counts as unknown, whatever the budgets are: that money may be gone.
    """
    since = await _last_day(postgres)
    sent = settled = released = torn = 0
    unbilled = {line.id for line in journal.lines(since) if isinstance(line, ReleasedLine)}
    for line in journal.lines(since):
        match line:
            case None:
                torn += 1
            case SentLine():
                sent += line.ask.id not in unbilled and await _learn(postgres, line)
            case PaidLine():
                settled += await _settle(postgres, line)
            case ReleasedLine():
                state = (await postgres.call(_STATE, line.id))["state"]
                if state in ("reserved", "sent"):
                    released += (await postgres.call(_RELEASE, line.id, line.why))["state"] == "released"
    imported = Imported(sent, settled, released, torn)
    _log.info("journal.imported", since=since.isoformat(), **msgspec.structs.asdict(imported))
    return imported


async def _last_day(postgres: Postgres) -> date:
    row = await postgres.call(
        "SELECT coalesce(max(day) - $1::integer, '0001-01-01') AS day FROM money.days WHERE reserved + spent > 0",
        _DAYS_BEFORE,
    )
    found: date = row["day"]
    return found


async def _learn(postgres: Postgres, line: SentLine) -> bool:
    ask = line.ask
    row = await postgres.call(
        _LEARN,
        *(ask.id, ask.video, ask.stage, ask.attempt, ask.service, ask.model, ask.price, ask.units, ask.amount_usd),
        *(ask.policy, ask.input_hash, ask.take, line.second_purchase, line.reserved_at),
    )
    return bool(row["learnt"])


async def _settle(postgres: Postgres, line: PaidLine) -> bool:
    if (await postgres.call(_STATE, line.id))["state"] not in ("sent", "unknown"):
        return False
    files = None if line.result is None else line.files
    row = await postgres.call(_SETTLE, line.id, line.billed_usd, line.used, line.request_id, line.result, files)
    return bool(row["answer"] == "settled")


def _decoded(text: bytes) -> Line | None:
    try:
        line: Line = msgspec.json.decode(text, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return line


def _flush_folder(folder: Path) -> None:
    """A new file is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
