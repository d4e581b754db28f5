"""Plots as inline SVG: bars by hour or day, and bars in rows; drawn in the page's own colours, sharp on paper.

Each is given numbers and gives text; labels are escaped here. The colours are classes that the page's style defines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

import msgspec

#: Widths of a plot, over the page and over half of it: in either, text is as large as on the page.
WIDE: Final = 960
HALF: Final = 440
_HEIGHT = 190
_LEFT, _TOP, _BOTTOM = 44, 12, 24
_GAP: Final = 0.24
_ROW, _LABEL, _VALUE = 30, 126, 146
_STEPS: Final = (1, 2, 2.5, 5, 10)


class Column(msgspec.Struct, frozen=True):
    """A column: its label (empty: none), its parts from below, and what is said of it."""

    label: str
    parts: tuple[float, ...]
    about: str


class Row(msgspec.Struct, frozen=True):
    """A row: a bar up to `value`, a thin line on to `reach`, and a text at its end."""

    label: str
    value: float
    text: str
    reach: float = 0.0


def columns(bars: Sequence[Column], colours: Sequence[str], *, title: str, unit: str = "", width: int = HALF) -> str:
    """Stacked columns over a scale; `colours` are the classes of the parts."""
    top = _nice(max((sum(bar.parts) for bar in bars), default=0.0), whole=not unit)
    room, floor = width - _LEFT, _HEIGHT - _BOTTOM
    step = room / max(1, len(bars))
    drawn = [_grid(value, floor - value / top * (floor - _TOP), unit, width) for value in _ticks(top)]
    for place, bar in enumerate(bars):
        left, broad, y = _LEFT + (place + _GAP / 2) * step, step * (1 - _GAP), float(floor)
        shapes = []
        for part, colour in zip(bar.parts, colours, strict=True):
            height = part / top * (floor - _TOP)
            y -= height
            if part:
                shapes.append(_rect(colour, left, y, broad, height))
        drawn.append(f"<g><title>{escape(bar.about)}</title>{''.join(shapes)}</g>")
        if bar.label:
            middle = left + broad / 2
            drawn.append(
                f'<text class="axis" x="{middle:.1f}" y="{floor + 17}" text-anchor="middle">{escape(bar.label)}</text>'
            )
    drawn.append(f'<line class="floor" x1="{_LEFT}" y1="{floor}" x2="{width}" y2="{floor}"/>')
    return _svg(title, width, _HEIGHT, drawn)


def rows(bars: Sequence[Row], colour: str, *, title: str) -> str:
    """Bars in rows, the longest over the whole width."""
    most = max((max(bar.value, bar.reach) for bar in bars), default=0.0) or 1.0
    room = HALF - _LABEL - _VALUE
    drawn = []
    for place, bar in enumerate(bars):
        middle = place * _ROW + _ROW / 2
        width, reach = max(2.0, bar.value / most * room), bar.reach / most * room
        shapes = _rect(colour, _LABEL, middle - 8, width, 16)
        if reach > width:
            end = _LABEL + reach
            shapes += (
                f'<path class="reach" d="M{_LABEL + width:.1f} {middle:.1f}H{end:.1f}M{end:.1f} {middle - 5:.1f}v10"/>'
            )
        drawn.append(
            f"<g><title>{escape(bar.label)}: {escape(bar.text)}</title>{shapes}"
            f'<text class="label" x="{_LABEL - 10}" y="{middle + 4.5:.1f}" text-anchor="end">{escape(bar.label)}</text>'
            f'<text class="value" x="{_LABEL + max(width, reach) + 9:.1f}" y="{middle + 4.5:.1f}">'
            f"{escape(bar.text)}</text></g>"
        )
    return _svg(title, HALF, max(1, len(bars)) * _ROW, drawn)


def _rect(colour: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{colour}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"/>'


def _svg(title: str, width: float, height: float, drawn: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
    return f"{head}{''.join(drawn)}</svg>"


def _grid(value: float, y: float, unit: str, width: float) -> str:
    text = f"{unit}{value:g}"
    return (
        f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{width:g}" y2="{y:.1f}"/>'
        f'<text class="axis" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'
    )


def _nice(most: float, *, whole: bool) -> float:
    """A round top of the scale, not below `most`; counts have no halves."""
    if most <= 0:
        return 1.0 if not whole else 4.0
    size = 10.0 ** math.floor(math.log10(most))
    top: float = next(step * size for step in _STEPS if step * size >= most)
    return max(top, 4.0) if whole else top


def _ticks(top: float) -> list[float]:
    return [top * quarter / 4 for quarter in range(1, 5)] if top % 4 == 0 or top < 4 else [top / 2, top]  # noqa: PLR2004 - quarters
