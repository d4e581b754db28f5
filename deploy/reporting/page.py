"""The daily report as one HTML file that needs nothing else: for a browser, a mail or paper; and as text.

Everything that came from outside (topics, reasons) is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Final

from deploy.reporting.daily import KeyLine, Report, lasting, usd
from deploy.reporting.plots import WIDE, Column, Row, columns, rows

_STYLE: Final = (files("deploy.reporting") / "page.css").read_text(encoding="utf-8")
_HOUR_LABELS_EVERY: Final = 3
_TEXT_WIDTH: Final = 24
_MARKS: Final = {"normal": "ok", "warning": "!", "critical": "!!", "unknown": "?"}


def html(report: Report) -> str:
    """The page."""
    title = f"YTEMPIRE {report.day}"
    state = "the whole day, UTC" if report.is_over else f"as far as {report.at:%H:%M} UTC"
    parts = (
        f"<header><h1>Daily report, {report.day:%A} {report.day}</h1><p class=soft>{state}</p></header>",
        f"<div class=tiles>{''.join(_tile(line) for line in report.key_figures)}</div>",
        _hours(report),
        f"<div class=both>{_services(report)}{_stages(report)}</div>",
        f"<div class=both>{_money_by_hour(report)}{_week(report)}</div>",
        _failures(report),
        f"<div class=both>{_dearest(report)}{_trouble(report)}</div>",
        f"<footer>Made {report.at:%Y-%m-%d %H:%M:%S} UTC by ./ytempire report --day {report.day}</footer>",
    )
    viewport = '<meta name="viewport" content="width=device-width,initial-scale=1">'
    head = f'<head><meta charset="utf-8">{viewport}<title>{title}</title><style>{_STYLE}</style></head>'
    return f"<!doctype html><html lang=en>{head}<body><main>{''.join(parts)}</main></body></html>\n"


def text(report: Report) -> str:
    """The same for a terminal or a plain mail, without plots."""
    over = "" if report.is_over else f" (until {report.at:%H:%M} UTC)"
    told = [f"YTEMPIRE, {report.day:%A} {report.day}{over}", ""]
    told += [f"{_MARKS[line.level]:<3}{line.name:<17}{line.value:<14}{line.note}" for line in report.key_figures]
    services = [(one.service, f"{usd(one.usd):>10}  {one.payments} calls") for one in report.bill.services]
    told += _block("cost by service", services, none="nothing was paid")
    if report.bill.unknown_usd:
        told.append(f"  of it nobody knows whether {usd(report.bill.unknown_usd)} was billed: ./ytempire costs")
    stages = [
        (one.stage, f"{lasting(one.average_s):>12}  95% within {lasting(one.p95_s)}, longest {lasting(one.longest_s)}")
        for one in report.story.stages
    ]
    told += _block("stages", stages, none="no stage was finished")
    failures = [(f"{one.videos} x", f"{one.reason} ({one.example})") for one in report.story.failures]
    told += _block("failures", failures, none="none")
    told += _block("made up for", [(name, str(count)) for name, count in _troubles(report)], none="")
    return "\n".join(told) + "\n"


def _block(title: str, lines: Iterable[tuple[str, str]], *, none: str) -> list[str]:
    found = [f"  {name:<{_TEXT_WIDTH}}{said}" for name, said in lines]
    return ["", title, *(found or [f"  {none}"])]


def _tile(line: KeyLine) -> str:
    return (
        f'<div class="tile {line.level}"><span class=name>{escape(line.name)}</span>'
        f"<b>{escape(line.value)}</b><span class=soft>{escape(line.note)}</span></div>"
    )


def _section(title: str, note: str, body: str, *, none: str = "") -> str:
    said = f"<p class=soft>{note}</p>" if note else ""
    return f"<section><h2>{title}</h2>{said}{body or f'<p class=none>{none}</p>'}</section>"


def _hours(report: Report) -> str:
    bars = [
        Column(
            f"{hour.hour:02}" if hour.hour % _HOUR_LABELS_EVERY == 0 else "",
            (hour.completed, hour.failed),
            f"{hour.hour:02}:00: {hour.completed} completed, {hour.failed} failed, {hour.accepted} asked for",
        )
        for hour in report.story.hours
    ]
    keys = "<span class='key good'></span>completed<span class='key bad'></span>failed"
    note = f"{keys}; by the hour, UTC, in which they ended"
    plot = (
        columns(bars, ("good", "bad"), title="Videos per hour", width=WIDE)
        if any(sum(bar.parts) for bar in bars)
        else ""
    )
    return _section("Videos per hour", note, f"<div class=wide>{plot}</div>" if plot else "", none="No video ended.")


def _services(report: Report) -> str:
    bars = [Row(one.service, float(one.usd), f"{usd(one.usd)}, {one.payments} calls") for one in report.bill.services]
    note = ""
    if report.bill.unknown_usd:
        note = f"of it nobody knows whether {usd(report.bill.unknown_usd)} was billed"
    return _section(
        "Cost by service", note, rows(bars, "money", title="Cost by service") if bars else "", none="Nothing was paid."
    )


def _stages(report: Report) -> str:
    bars = [
        Row(one.stage.replace("_", " "), one.average_s, lasting(one.average_s), reach=one.p95_s)
        for one in report.story.stages
    ]
    plot = rows(bars, "time", title="Processing time by stage") if bars else ""
    return _section("Processing time by stage", "average; the line: 95% within", plot, none="No stage was finished.")


def _money_by_hour(report: Report) -> str:
    bars = [
        Column(f"{hour:02}" if hour % _HOUR_LABELS_EVERY == 0 else "", (float(spent),), f"{hour:02}:00: {usd(spent)}")
        for hour, spent in enumerate(report.bill.hours)
    ]
    plot = columns(bars, ("money",), title="Cost per hour", unit="$") if any(report.bill.hours) else ""
    return _section("Cost per hour", "", plot, none="Nothing was paid.")


def _week(report: Report) -> str:
    bars = [
        Column(
            f"{day.day:%a} {day.day.day}",
            (day.completed, day.failed),
            f"{day.day}: {day.completed} completed, {day.failed} failed, {usd(day.usd)}",
        )
        for day in report.week
    ]
    spent = sum((day.usd for day in report.week), start=report.total.spent_usd * 0)
    done = sum(day.completed for day in report.week)
    note = f"{done} completed, {usd(spent)} in seven days"
    return _section("The week", note, columns(bars, ("good", "bad"), title="Videos per day"))


def _failures(report: Report) -> str:
    if not report.story.failures:
        return ""
    body = _table(
        ("videos", "why", "one of them"),
        [(str(one.videos), escape(one.reason), f"<code>{escape(one.example)}</code>") for one in report.story.failures],
    )
    return _section("Failures", "", body)


def _dearest(report: Report) -> str:
    found = [
        (f"{escape(one.topic or '?')}<br><code>{escape(one.video)}</code>", usd(one.usd)) for one in report.bill.dearest
    ]
    return _section(
        "Dearest videos", "", _table(("video", "cost"), found, numbers=(1,)) if found else "", none="Nothing was paid."
    )


def _trouble(report: Report) -> str:
    found = [(escape(name), str(count)) for name, count in _troubles(report)]
    return _section("Made up for", "", _table(("what", "times"), found, numbers=(1,)))


def _troubles(report: Report) -> tuple[tuple[str, int], ...]:
    trouble = report.story.trouble
    return (
        ("attempts tried again", trouble.retried),
        ("attempts that crashed", trouble.crashed),
        ("attempts out of time", trouble.timed_out),
        ("halts", trouble.halts),
        ("pauses", trouble.pauses),
        ("videos cancelled", report.figures.cancelled),
    )


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        written = (
            f"<{tag}{' class=number' if place in numbers else ''}>{cell}</{tag}>" for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(written)}</tr>"

    return f"<table>{row(heads, 'th')}{''.join(row(line, 'td') for line in lines)}</table>"
