from __future__ import annotations

import pytest

from guardians.vitals import Measured, changed, measured, table
from guardians.watch import Level
from schema.record.figures import Window
from schema.settings.limits import Limits

LIMITS = Limits()
ROWS = {row.figure: row for row in table(LIMITS)}


def window(
    *,
    queued: int = 0,
    completed: int = 0,
    failed: int = 0,
    processing_s: float | None = None,
    unheld_s: float | None = None,
) -> Window:
    return Window(queued, completed, failed, processing_s, unheld_s)


def seen(read: Window, *, disk_percent: float | None = None, oldest_s: float | None = None) -> Measured:
    return measured(read, LIMITS, disk_percent=disk_percent, oldest_s=oldest_s)


@pytest.mark.parametrize(
    ("figure", "value", "level"),
    [
        ("queue_depth", 50, "normal"),
        ("queue_depth", 51, "warning"),
        ("queue_depth", 80, "warning"),
        ("queue_depth", 81, "critical"),
        ("processing_time", 479, "normal"),
        ("processing_time", 481, "warning"),
        ("processing_time", 601, "critical"),
        ("error_rate", 4.9, "normal"),
        ("error_rate", 5.1, "warning"),
        ("error_rate", 10.1, "critical"),
        ("disk_usage", 80, "normal"),
        ("disk_usage", 80.1, "critical"),
        ("api_response", 0.499, "normal"),
        ("api_response", 0.501, "warning"),
        ("api_response", 1.001, "critical"),
    ],
)
def test_a_figure_has_the_level_of_the_runbook(figure: str, value: float, level: Level) -> None:
    assert ROWS[figure].judge(value) == level


def test_each_row_has_the_action_of_the_last_column() -> None:
    assert {figure: ROWS[figure].action.partition(":")[0] for figure in list(ROWS)[:5]} == {
        "queue_depth": "Scale workers",
        "processing_time": "Investigate bottleneck",
        "error_rate": "Debug immediately",
        "disk_usage": "Clean up",
        "api_response": "Check database",
    }


def test_a_rate_needs_ten_ended_videos() -> None:
    few, enough = seen(window(completed=6, failed=3)), seen(window(completed=8, failed=2))
    assert (few.error_rate, few.success_rate) == (None, None)
    assert (enough.error_rate, enough.success_rate) == (20, 80)


def test_what_was_not_measured_is_not_known() -> None:
    assert seen(window()) == Measured(queue_depth=0)


def test_an_event_is_no_older_than_the_gate_is_open() -> None:
    assert seen(window(unheld_s=5), oldest_s=3600).oldest_event == 5
    assert seen(window(unheld_s=9000), oldest_s=3600).oldest_event == 3600
    assert seen(window(unheld_s=9000)).oldest_event is None


@pytest.mark.parametrize(
    ("before", "now", "news"),
    [
        (None, "normal", False),
        ("normal", None, False),
        ("critical", "critical", False),
        (None, "warning", True),
        ("warning", "critical", True),
        ("critical", "normal", True),
        ("critical", None, True),
    ],
)
def test_only_a_change_that_a_person_wants_to_hear_of_is_news(
    before: Level | None, now: Level | None, *, news: bool
) -> None:
    assert changed(before, now) is news
