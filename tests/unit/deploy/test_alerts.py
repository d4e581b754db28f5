from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from deploy.reporting.alerts import alert_of
from schema.record.messages import Message
from streams import names
from streams.transport.port import Entry

NOW = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)


def entry(stream: str, ago: timedelta, fields: dict[str, str]) -> Entry:
    entry_id = f"{int((NOW - ago).timestamp() * 1000)}-0"
    said = {name.encode(): text.encode() for name, text in fields.items()}
    return Entry(stream=stream, id=entry_id, fields=said, group="", origin_stream=stream, origin_id=entry_id)


def heard(stream: str, *, ago: timedelta = timedelta(), **fields: str) -> Message | None:
    return alert_of(entry(stream, ago, fields), level="critical", now=NOW)


def test_a_guardians_halt_is_an_alert_with_its_reason_and_what_to_do() -> None:
    told = heard(
        names.NOTICES,
        type="cost.held",
        by="cost",
        cause="day_budget",
        reason="$149.90 of $150",
        action="Wait",
        level="",
    )
    assert told is not None
    assert (told.level, told.title) == ("critical", "cost: day budget, held")
    assert told.body.splitlines()[:2] == ["$149.90 of $150", "do: Wait"]


@pytest.mark.parametrize("wanted", ["critical", "warning"])
def test_a_warning_is_told_where_the_settings_say_so(wanted: str) -> None:
    fields = {"type": "vitals.level", "by": "vitals", "cause": "queue_depth", "level": "warning"}
    told = alert_of(entry(names.NOTICES, timedelta(), fields), level=wanted, now=NOW)
    assert (told is not None) == (wanted == "warning")


def test_what_is_normal_again_is_the_end_of_the_same_cause() -> None:
    began = heard(names.NOTICES, type="cost.held", by="cost", cause="burn_rate", reason="$30")
    ended = heard(names.NOTICES, type="cost.released", by="cost", cause="burn_rate", reason="$3")
    assert began is not None
    assert ended is not None
    assert (ended.cause, ended.level) == (began.cause, "normal")


def test_a_dead_letter_and_a_halt_by_hand_are_alerts() -> None:
    dead = heard(names.DEAD, group="render", video="v", error="no room", hint="make room")
    halt = heard(names.CONTROL, type="halt", reason="fire", by="ann")
    resumed = heard(names.CONTROL, type="resume", by="bob")
    assert dead is not None
    assert halt is not None
    assert resumed is not None
    assert (resumed.cause, resumed.level) == (halt.cause, "normal")
    assert (dead.title, halt.title) == ("dead letter: render gave up on v", "halted by ann")


def test_what_is_no_news_to_anybody_is_no_alert() -> None:
    assert heard(names.CONTROL, type="halt", by="cost") is None  # said by the guardian itself
    assert heard(names.CONTROL, type="pause", by="ann") is None
    assert heard(names.NOTICES, type="integrity.rebuilt", by="integrity", cause="owed") is None
    assert heard(names.NOTICES, type="alert.told", by="operator", reason="x") is None
    assert heard(names.DEAD, ago=timedelta(days=2), group="render", error="old") is None
