"""Acceptance 4: who is admitted, in which order, and how many at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.factory.running import STUBS, Factory, factory


def _submit(running: Factory, count: int) -> list[tuple[int, str]]:
    """Submit `count` videos of changing priority; returns (priority, video) in the order of submission."""
    entries = [
        (number * 7 % 10, running.submit(topic=f"Topic {number}", notes=NOTES, priority=str(number * 7 % 10)))
        for number in range(count)
    ]
    return [(priority, running.receipt(entry)["video"]) for priority, entry in entries]


NOTES = "Rivers carry more than water. " * 12


@pytest.mark.slow
def test_ten_videos_under_a_halt_are_admitted_in_priority_order_never_more_than_seven_in_hand(tmp_path: Path) -> None:
    with factory(tmp_path, procfile=STUBS, environ={"STUB_STAGE_S": "0.3"}) as running:
        assert running.command(type="halt", reason="test")["gate"] == "halted"
        submitted = _submit(running, 10)
        running.until(lambda: running.statuses() == {"queued": 10})
        assert not any(event.get("event") == "stage.started" for event in running.events())
        assert running.command(type="resume")["gate"] == "open"
        most = 0
        while running.statuses() != {"completed": 10}:
            [(in_hand,)] = running.rows("SELECT count(*) FROM video_queue WHERE status = 'processing'")
            most = max(most, int(str(in_hand)))
            running.until(lambda: True)
        admitted = [event["video"] for event in running.events("dispatch") if event.get("event") == "video.admitted"]
        wanted = [video for _, video in sorted(submitted, key=lambda one: -one[0])]
        assert admitted == wanted
        assert 1 < most <= 7


@pytest.mark.slow
def test_120_under_a_halt_are_100_queued_and_20_waiting_and_all_complete(tmp_path: Path) -> None:
    with factory(tmp_path, procfile=STUBS) as running:
        running.command(type="halt")
        _submit(running, 120)
        running.until(lambda: running.statuses() == {"queued": 100, "waiting": 20})
        running.command(type="resume")
        running.until(lambda: running.statuses() == {"completed": 120}, within_s=120)
        assert running.rows(
            "SELECT stage, count(*) FROM stage_attempts WHERE outcome = 'done' GROUP BY 1 ORDER BY 1"
        ) == [(stage, 120) for stage in ("audio", "media", "quality", "render", "script")]
