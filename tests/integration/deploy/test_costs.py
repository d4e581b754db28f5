"""`costs` and `submit --estimate`, on a record in which money was spent."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from deploy.__main__ import app
from deploy.commands.connections import record
from schema.errors import RefusedError
from schema.money.ledger import Ledger
from tests.integration.money.conftest import DAY_USD, VIDEO_USD, reserved, run_stage, sent

_FIGURES = ("calls", "settled", "unknown", "set", "aside", "not", "billed", "bought", "twice")
NOTES = "Octopuses have three hearts. Two of them serve the gills and one serves the body. " * 4


@pytest.fixture
def spent(monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path) -> None:
    """One video with a settled script, an unknown voice, and something set aside; another with a settled script."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("YTEMPIRE_DATA_DIR", str(tmp_path))
    asyncio.run(_spend(database_url))


async def _spend(database_url: str) -> None:
    async with record(database_url) as postgres:
        ledger = Ledger(postgres, video_budget_usd=VIDEO_USD, day_budget_usd=DAY_USD)
        for video in ("v", "w"):
            await run_stage(postgres, video, "script")
            script = await sent(ledger, usd="0.30", video=video)
            await ledger.settle(script.id, Decimal("0.0237"), used={"output_tokens": 1})
        await run_stage(postgres, "v", "audio")
        voice = await sent(ledger, usd="0.40", stage="audio", service="elevenlabs")
        await ledger.unknown(voice.id, "no answer within 45 s")
        await reserved(ledger, usd="0.05", stage="audio", service="google")


def ask(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), standalone_mode=False)


def told(*words: str) -> list[str]:
    done = ask(*words)
    assert done.exception is None, done.exception
    return done.output.splitlines()


@pytest.mark.usefixtures("spent")
def test_today_is_shown_against_its_budget_by_day_and_service_with_what_nobody_knows() -> None:
    head, names, *rows = told("costs")
    assert head == "today: $0.4474 spent, $0.05 set aside, of $150"
    assert names.split() == [
        "day",
        "service",
        "calls",
        "settled",
        "unknown",
        "set",
        "aside",
        "not",
        "billed",
        "bought",
        "twice",
    ]
    assert [row.split()[1:] for row in rows[:3]] == [
        ["elevenlabs", "1", "$0", "$0.4", "$0", "0", "0"],
        ["google", "1", "$0", "$0", "$0.05", "0", "0"],
        ["openai", "2", "$0.0474", "$0", "$0", "0", "0"],
    ]
    assert rows[3].startswith("unknown: $0.4 at most, elevenlabs model, v audio attempt 1")
    assert rows[3].endswith("no answer within 45 s")


@pytest.mark.usefixtures("spent")
def test_a_video_is_shown_by_stage_service_model_and_attempt() -> None:
    head, names, *rows = told("costs", "w")
    assert head == "w: $0.0237 spent, $0 set aside, of $3"
    assert names.split()[:4] == ["stage", "service", "model", "attempt"]
    assert [row.split()[:6] for row in rows] == [["script", "openai", "model", "1", "1", "$0.0237"]]


@pytest.mark.usefixtures("spent")
def test_costs_for_a_program_are_one_object_with_sums_in_dollars() -> None:
    (line,) = told("costs", "--by", "video", "--json")
    bill = msgspec.json.decode(line)
    assert (bill["total"]["spent_usd"], bill["budget_usd"]) == ("0.447400", "150.00")
    assert [row["by"] for row in bill["lines"]] == [["v"], ["w"]]


@pytest.mark.usefixtures("spent")
@pytest.mark.parametrize("wrong", [("--by", "colour"), ("--since", "yesterday")])
def test_a_wrong_question_says_what_is_expected(wrong: tuple[str, str]) -> None:
    error = ask("costs", *wrong).exception
    assert isinstance(error, RefusedError)
    assert wrong[1] in str(error)
    assert "expected" in str(error)


@pytest.mark.usefixtures("spent")
def test_costs_of_days_to_come_are_none() -> None:
    assert len(told("costs", "--since", "2999-01-01")) == 2  # the head, and what nobody knows


def test_an_estimate_orders_nothing_and_needs_no_factory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YTEMPIRE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ELEVENLABS_API_KEY", "k")
    normal, *_, economy = (line for line in told("submit", "Why cats purr", "--estimate") if "of $3" in line)
    usd = [Decimal(line.split("$")[1].split()[0]) for line in (normal, economy)]
    assert 0 < usd[1] <= usd[0] / 2


def test_an_estimate_is_exact_where_the_words_are_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(NOTES, encoding="utf-8")
    monkeypatch.setenv("ELEVENLABS_API_KEY", "k")
    monkeypatch.setenv("YTEMPIRE_SCRIPT_CHAIN", "local")
    notes = str(tmp_path / "notes.txt")
    found = told("submit", "Why octopuses have three hearts", "--notes", notes, "--estimate", "--length", "10s")
    assert found[1:3] == ["  script  local: free", "  media   local: free"]
    assert found[3].startswith("  audio   elevenlabs eleven_multilingual_v2: at most $")
