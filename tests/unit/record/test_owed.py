from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schema import flow
from schema.record.owed import Owed, StageState, owed

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
GRACE_S = 5.0


def _ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def _video(**status: str) -> list[StageState]:
    """A video in hand whose stages are open unless said otherwise; all that ended did so a minute ago."""
    return [
        StageState(
            video="v",
            stage=stage.name,
            status=status.get(stage.name, "open"),
            attempt=1,
            opened_at=_ago(100),
            ended_at=_ago(60) if status.get(stage.name) == "done" else None,
            retry_at=_ago(20) if status.get(stage.name) == "retrying" else None,
            lease_until=_ago(20) if status.get(stage.name) == "running" else None,
            traceparent="",
        )
        for stage in flow.STAGES
    ]


def _facts(rows: list[StageState], grace_s: float = GRACE_S) -> list[tuple[str, str, str]]:
    return [(debt.stage, debt.stream, debt.fact.type) for debt in owed(rows, now=NOW, grace_s=grace_s)]


def test_an_admitted_video_is_owed_its_admission() -> None:
    assert _facts(_video()) == [("script", "stream:admitted", "video.admitted")]


def test_both_sides_are_owed_the_script() -> None:
    assert _facts(_video(script="done")) == [
        ("media", "stream:scripts", "script.written"),
        ("audio", "stream:scripts", "script.written"),
    ]


def test_a_join_is_owed_nothing_until_both_inputs_are_done() -> None:
    assert ("render", "stream:media", "media.collected") not in _facts(_video(script="done", media="done"))
    assert _facts(_video(script="done", media="done", audio="done"))[0][0] == "render"


@pytest.mark.parametrize("status", ["running", "retrying"])
def test_work_whose_lease_or_delay_ran_out_long_ago_is_owed_again(status: str) -> None:
    assert [debt[0] for debt in _facts(_video(script=status))] == ["script"]


@pytest.mark.parametrize("status", ["running", "retrying"])
def test_work_that_is_alive_or_not_due_is_left_alone(status: str) -> None:
    assert _facts(_video(script=status), grace_s=30) == []


def test_what_was_committed_within_the_grace_is_left_alone() -> None:
    assert _facts(_video(script="done"), grace_s=61) == []


def test_what_has_ended_is_owed_nothing() -> None:
    rows = _video(script="done", media="failed", audio="dropped", render="dropped", quality="dropped")
    assert _facts(rows) == []


def test_a_fact_said_again_has_the_id_it_had() -> None:
    debts: list[Owed] = owed(_video(script="done"), now=NOW, grace_s=GRACE_S)
    assert {debt.fact.id for debt in debts} == {"v.script.1"}
