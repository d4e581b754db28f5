from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.bench.table import Goal, Row, columns, exit_code, lines, number, row, write_json


@pytest.mark.parametrize(
    ("goal", "value", "reached"),
    [
        (Goal("<=", 1.35), 1.35, True),
        (Goal("<=", 1.35), 1.36, False),
        (Goal(">=", 5), 5.0, True),
        (Goal(">=", 5), 4.9, False),
        (Goal("=", 1), 1, True),
        (Goal("=", 1), 2, False),
        (Goal("=", 1), 0, False),
    ],
)
def test_a_goal_includes_its_bound(goal: Goal, value: float, reached: bool) -> None:  # noqa: FBT001 - a case
    assert row("r", value, "x", goal).ok is reached


def test_what_could_not_be_measured_has_missed_its_goal() -> None:
    assert row("r", None, "x", Goal("<=", 1)).ok is False


def test_a_row_without_a_goal_is_neither_reached_nor_missed() -> None:
    assert row("r", 3.0, "us").ok is None


def test_the_exit_code_says_whether_a_goal_was_missed() -> None:
    reached, missed, free = row("a", 1, "x", Goal("=", 1)), row("b", 2, "x", Goal("=", 1)), row("c", 9, "us")
    assert exit_code([reached, free]) == 0
    assert exit_code([reached, missed, free]) == 1


def test_the_json_is_a_list_of_rows_with_peers_where_peers_ran(tmp_path: Path) -> None:
    rows = [
        row("redelivery", 3.5, "s", Goal("<=", 5), peers={"arq": "> 20", "taskiq": 12.0}),
        row("best", None, "x", Goal(">=", 5), note="no figure of celery"),
        row("worker CPU", 60.0, "us"),
    ]
    path = tmp_path / "rows.json"
    write_json(rows, path)
    assert msgspec.json.decode(path.read_bytes()) == [
        {
            "row": "redelivery",
            "value": 3.5,
            "unit": "s",
            "goal": "<= 5",
            "ok": True,
            "peers": {"arq": "> 20", "taskiq": 12.0},
        },
        {"row": "best", "value": None, "unit": "x", "goal": ">= 5", "ok": False, "note": "no figure of celery"},
        {"row": "worker CPU", "value": 60.0, "unit": "us", "goal": None, "ok": None},
    ]


def test_the_printed_table_shows_each_goal_beside_its_figure_and_what_it_is_compared_with() -> None:
    rows: list[Row] = [
        row("a long name", 1.5, "x", Goal("<=", 1.35), peers={"taskiq": 474.0}, note="71 / 50"),
        row("kept", 1, "start(s)", Goal("=", 1)),
        row("no goal, so in the other table", 60.0, "us"),
    ]
    assert list(lines(rows)) == [
        "                 figure     goal",
        "a long name       1.5 x  <= 1.35  MISSED",
        "kept         1 start(s)      = 1      ok",
        "  a long name: taskiq 474; 71 / 50",
    ]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert list(columns(("", "jobs"), [("ours", "1"), ("taskiq", "12,345")])) == [
        "          jobs",
        "ours         1",
        "taskiq  12,345",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), ("> 20", "> 20"), (0, "0"), (0.2345, "0.234"), (12.345, "12.3"), (99.96, "100"), (15836.4, "15,836")],
)
def test_numbers_have_three_digits(value: float | str | None, shown: str) -> None:
    assert number(value) == shown
