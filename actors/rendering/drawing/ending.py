"""The card of a film's last seconds: its title, and whom it owes its pictures to."""

from __future__ import annotations

from typing import Final

import numpy as np

from actors.rendering.drawing.fonts import REGULAR
from actors.rendering.drawing.patches import Alpha
from actors.rendering.drawing.sheet import Drawn, Faces, Part, Sheet, coming, drawn, vignette
from actors.rendering.drawing.typesetting import Block, Setting, block
from actors.rendering.nv12 import Patch
from actors.rendering.planning.plan import Plan
from actors.rendering.styles import Style

#: Of sources.
_MOST_LINES: Final = 6


def end(text: str, plan: Plan, style: Style, faces: Faces) -> Drawn:
    """The film's last seconds: its title, smaller, and under a fine line the rest of `text`'s lines, its sources."""
    sheet = Sheet(plan, style, faces)
    named, *sources = text.split("\n")
    width = min(style.title_width * plan.width, 2 * sheet.right - plan.width)
    set_ = sheet.set_title(named, width=width, align="centre", scale=0.62)
    fine, gap = max(4, sheet.bar // 2), 0.55 * set_.size_px
    room = (width, 0.25 * plan.height)
    how = Setting(REGULAR, style.credit_size * 1.1 * sheet.short, room, _MOST_LINES, 1.45, "centre")
    small = block(" ".join(sources), faces.text, how)
    below = gap + fine + (gap + small.height if small.lines else 0)
    top = sheet.middle(set_.height + below)
    lines, shape = sheet.lines(set_, ((plan.width - set_.width) / 2, top), 1, style.text)
    long = 0.12 * plan.width
    rule = sheet.rule((plan.width - long) / 2, top + set_.height + gap, long, fine, style.accent)
    parts = [*coming(lines, sheet), Part(rule, after_s=0.3, grows="middle")]
    if small.lines:
        at = ((plan.width - small.width) / 2, top + set_.height + below - small.height)
        others, their_shape = sheet.lines(small, at, 1, style.text)
        shape = np.maximum(shape, their_shape)
        parts += coming(others, sheet, 0.1)
    parts.insert(0, Part(_end_ground(sheet, set_, small, (top, top + set_.height + below), shape)))
    return drawn(parts)


def _end_ground(sheet: Sheet, set_: Block, small: Block, span: tuple[float, float], shape: Alpha) -> Patch:
    """What an end card between these heights stands on."""
    if sheet.style.title_layout != "panel":
        return sheet.shadow(vignette(sheet, sum(span) / 2, set_), shape, small.size_px)
    aside = 0.07 * sheet.short
    width, height = max(set_.width, small.width) + 2 * aside, span[1] - span[0] + 2 * aside
    return sheet.paper((sheet.plan.width - width) / 2, span[0] - aside, width, height)
