from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime
from decimal import Decimal

from deploy.reporting import page, plots
from deploy.reporting.daily import KeyLine, Report, WeekDay
from schema.money.bill import Bill, Dear, Service
from schema.money.statement import Total
from schema.record.days import DayStory, Failure, Hour, StageDay, Trouble
from schema.record.figures import Day

DAY = date(2026, 11, 24)
NOTHING = Decimal(0)


def a_report(*, busy: bool) -> Report:
    hours = tuple(Hour(hour, 2, 2 * (hour == 9), int(hour == 9)) for hour in range(24))
    return Report(
        day=DAY,
        at=datetime(2026, 11, 25, 6, tzinfo=UTC),
        key_figures=(KeyLine("success rate", "66.7%", "1 of 3 failed", "critical"),),
        figures=Day(3, 2, 1, 0, 372.0) if busy else Day(0, 0, 0, 0, None),
        total=Total(NOTHING, Decimal("2.5")),
        story=DayStory(
            hours if busy else tuple(Hour(hour, 0, 0, 0) for hour in range(24)),
            (StageDay("video_rendering", 2, 200.0, 240.0, 230.0),) if busy else (),
            (Failure("<script>alert(1)</script>", 1, "v"),) if busy else (),
            Trouble(1, 0, 0, 0, 0),
        ),
        bill=Bill(
            (Service("openai", 2, Decimal("2.5")),) if busy else (),
            tuple(Decimal(hour == 9) for hour in range(24)) if busy else (NOTHING,) * 24,
            (Dear("v", "Tom & <b>Jerry</b>", Decimal("2.5")),) if busy else (),
            NOTHING,
        ),
        week=(WeekDay(DAY, 2, 1, Decimal("2.5")),),
    )


def test_a_page_has_its_figures_its_plots_and_nothing_of_others_unescaped() -> None:
    written = page.html(a_report(busy=True))
    assert written.count("<svg") == 5
    assert "66.7%" in written
    assert "video rendering: 3 min 20 s" in written
    assert "<script" not in written
    assert "<b>Jerry" not in written
    assert "http" not in written  # it needs nothing else


def test_a_day_without_videos_says_so_instead_of_drawing_nothing() -> None:
    written = page.html(a_report(busy=False))
    assert written.count("<svg") == 1  # the week
    assert "No video ended." in written
    assert "Nothing was paid." in written


def test_a_plot_is_well_formed_and_its_bars_have_the_heights_of_their_figures() -> None:
    bars = [plots.Column("a", (4.0, 2.0), "a < b"), plots.Column("", (3.0, 0.0), "c")]
    drawn = ET.fromstring(plots.columns(bars, ("good", "bad"), title="t"))  # noqa: S314 - our own
    first, second, third = (float(bar.attrib["height"]) for bar in drawn.iter("rect"))
    assert first == 2 * second
    assert abs(third - 1.5 * second) < 0.11


def test_the_text_says_the_same_as_the_page() -> None:
    told = page.text(a_report(busy=True))
    assert "!! success rate" in told
    assert "video_rendering" in told
    assert "1 x" in told
