"""The journal outlives the record: what a restored backup does not know, it learns."""

from __future__ import annotations

import asyncio
import datetime as dt
import multiprocessing
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from schema.documents import ArtifactRef
from schema.money.bought import Bought, Buyer, Found, InputKey, StoredFile
from schema.money.calls import Ask, Reserved
from schema.money.journal import Imported, Journal, PaidLine, ReleasedLine, SentLine, import_newer
from schema.money.ledger import Ledger, Sent
from schema.money.statement import Statement, Total
from schema.record.postgres import Postgres
from tests.integration.money.conftest import ask, claimed, opened, run_stage, state

KEY = InputKey("cd" * 32)
FILES = (StoredFile("a.json", ArtifactRef("bought/y", 1, "00")),)
NOTHING = Imported(sent=0, settled=0, released=0, torn_lines=0)


@pytest.fixture
async def empty_record(empty_database_url: str) -> AsyncIterator[Postgres]:
    """A record that was restored from before all this."""
    async with opened(empty_database_url) as postgres:
        yield postgres


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


async def _sent(ledger: Ledger, journal: Journal, asked: Ask) -> Ask:
    assert isinstance(await ledger.reserve(asked), Reserved)
    answer = await ledger.sent(asked.id, asked.attempt)
    assert isinstance(answer, Sent)
    journal.sent(answer.ask, second_purchase=answer.second_purchase, reserved_at=answer.reserved_at)
    return asked


async def _paid(ledger: Ledger, journal: Journal, asked: Ask) -> None:
    paid, used = Decimal("0.25"), {"output_tokens": 250}
    journal.paid(asked.id, paid, used=used, request_id="r", result=b'{"a":1}', files=FILES)
    await ledger.settle(asked.id, paid, used=used, request_id="r", result=b'{"a":1}', files=FILES)


def _lines(journal: Journal) -> list[object]:
    return list(journal.lines(dt.date.min))


async def test_an_older_record_learns_what_was_sent_and_what_was_paid(
    ledger: Ledger, postgres: Postgres, journal: Journal, statement: Statement, empty_record: Postgres
) -> None:
    await run_stage(postgres)
    asked = ask("0.50", input_hash=KEY.hash)
    await claimed(Bought(postgres), KEY, asked)
    await _paid(ledger, journal, await _sent(ledger, journal, asked))
    lost = await _sent(ledger, journal, ask("0.75"))
    unbilled = await _sent(ledger, journal, ask("1.00"))
    journal.released(unbilled.id, "429")
    expected = Imported(sent=2, settled=1, released=0, torn_lines=0)
    assert await import_newer(journal, empty_record) == expected
    assert [await state(empty_record, each.id) for each in (asked, lost, unbilled)] == ["settled", "unknown", None]
    restored = Statement(empty_record)
    assert await restored.of_video("v") == Total(Decimal(0), Decimal("1.00"))
    assert await restored.today() == Total(Decimal(0), Decimal("1.00"))
    assert await restored.contradictions() == []
    assert [call.id for call in await restored.unknowns()] == [lost.id]
    await run_stage(empty_record, "w")
    found = await Bought(empty_record).claim(KEY, Buyer("w", "script", 1), uuid4())
    assert found == Found(b'{"a":1}', FILES)
    assert await import_newer(journal, empty_record) == NOTHING
    assert await statement.contradictions() == []


async def test_money_that_the_older_record_had_only_reserved_is_unknown_and_not_released(
    ledger: Ledger, postgres: Postgres, journal: Journal, empty_record: Postgres
) -> None:
    """The backup was taken between reserve and sent: its next attempt would release what was sent since."""
    await run_stage(empty_record)
    sent, unbilled = ask("0.50"), ask("0.25")
    older = Ledger(empty_record, video_budget_usd=Decimal(3), day_budget_usd=Decimal(150))
    for each in (sent, unbilled):
        assert isinstance(await older.reserve(each), Reserved)
    await run_stage(postgres)
    for each in (sent, unbilled):
        await _sent(ledger, journal, each)
    journal.released(unbilled.id, "429")
    assert await import_newer(journal, empty_record) == Imported(sent=1, settled=0, released=1, torn_lines=0)
    assert [await state(empty_record, each.id) for each in (sent, unbilled)] == ["unknown", "released"]
    assert await Statement(empty_record).contradictions() == []


async def test_a_bill_that_was_written_down_before_a_crash_is_booked(
    ledger: Ledger, postgres: Postgres, journal: Journal
) -> None:
    await run_stage(postgres)
    asked = await _sent(ledger, journal, ask("0.50"))
    journal.paid(asked.id, Decimal("0.3"), used={"output_tokens": 3}, request_id="", result=None, files=())
    assert await import_newer(journal, postgres) == Imported(sent=0, settled=1, released=0, torn_lines=0)
    assert await state(postgres, asked.id) == "settled"


async def test_calls_under_way_are_left_alone_by_an_import(
    ledger: Ledger, postgres: Postgres, journal: Journal
) -> None:
    await run_stage(postgres)
    asked = await _sent(ledger, journal, ask())
    assert await import_newer(journal, postgres) == NOTHING
    assert await state(postgres, asked.id) == "sent"


async def test_a_torn_line_is_passed_over_and_what_comes_after_it_is_read(journal: Journal, tmp_path: Path) -> None:
    journal.released(uuid4(), "first")
    (path,) = (tmp_path / "journal").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole + whole.strip()[:40])
    journal.released(uuid4(), "second")
    first, torn, second = _lines(journal)
    assert isinstance(first, ReleasedLine)
    assert torn is None
    assert isinstance(second, ReleasedLine)
    assert second.why == "second"


async def test_an_import_says_how_many_lines_were_torn(journal: Journal, tmp_path: Path, postgres: Postgres) -> None:
    journal.released(uuid4(), "first")
    (path,) = (tmp_path / "journal").iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    assert await import_newer(journal, postgres) == msgspec.structs.replace(NOTHING, torn_lines=1)


def _write(folder: Path, count: int) -> None:
    journal = Journal(folder)
    for number in range(count):
        journal.released(uuid4(), "x" * (number % 300))


async def test_lines_of_many_processes_stay_whole(journal: Journal, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(tmp_path / "journal", 60)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        await asyncio.to_thread(writer.join)
    lines = _lines(journal)
    assert len(lines) == 180
    assert all(isinstance(line, ReleasedLine) for line in lines)


class _Late:
    """A clock just before midnight."""

    def __init__(self) -> None:
        self.at = dt.datetime(2026, 3, 1, 23, 59, 59, tzinfo=dt.UTC)

    def now(self) -> dt.datetime:
        """Wall time."""
        return self.at

    def monotonic_s(self) -> float:
        """Not asked for."""
        raise NotImplementedError


def test_a_day_has_a_file_of_its_own_and_earlier_ones_need_not_be_read(tmp_path: Path) -> None:
    clock = _Late()
    journal = Journal(tmp_path, clock=clock)
    journal.released(uuid4(), "before midnight")
    clock.at += dt.timedelta(seconds=1)
    journal.paid(uuid4(), Decimal(1), used={}, request_id="", result=None, files=())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-03-01.jsonl", "2026-03-02.jsonl"]
    assert [type(line) for line in journal.lines(dt.date(2026, 3, 2))] == [PaidLine]


async def test_a_line_keeps_all_that_was_asked(ledger: Ledger, postgres: Postgres, journal: Journal) -> None:
    await run_stage(postgres)
    asked = await _sent(ledger, journal, ask("0.123456"))
    (line,) = _lines(journal)
    assert isinstance(line, SentLine)
    assert line.ask == asked


async def test_a_disk_that_is_full_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="journal"):
        Journal(tmp_path / "journal").released(uuid4(), "why")
