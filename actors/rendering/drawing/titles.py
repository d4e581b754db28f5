"""Titles over the first picture: each layout a ground, which makes any picture dark or light enough, and what is on it.

They take at most `sheet.MOST_PARTS` patches a frame while they move, one when they have arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from actors.rendering.drawing.contrast import read_on
from actors.rendering.drawing.patches import merged
from actors.rendering.drawing.sheet import MOST_PARTS, Drawn, Faces, Part, Sheet, coming, drawn, eased, vignette
from actors.rendering.drawing.typesetting import bounds, ink
from actors.rendering.nv12 import Patch
from actors.rendering.planning.plan import Plan
from actors.rendering.styles import Style, TitleLayout


def title(text: str, plan: Plan, style: Style, faces: Faces) -> Drawn:
    """The title in the style's layout."""
    return drawn(_LAYOUTS[style.title_layout](text, Sheet(plan, style, faces)))


def _side(text: str, sheet: Sheet) -> list[Part]:
    """Left aligned under a short bar, in a shadow that falls off towards the picture's own subject."""
    style, plan = sheet.style, sheet.plan
    set_ = sheet.set_title(text, width=min(style.title_width * plan.width, sheet.right - sheet.left))
    gap = 3.2 * sheet.bar
    top = sheet.middle(set_.height + gap + sheet.bar) + gap + sheet.bar
    lines, shape = sheet.lines(set_, (sheet.left, top), 2, style.text)
    across, down = sheet.grid()
    if plan.width > plan.height:
        over = sheet.left + set_.width + 0.44 * plan.width
        fall = eased((over - across) / over)
    else:
        over = top + set_.height + 0.30 * plan.height
        fall = eased((over - down) / over)
    dark = sheet.shadow(fall, shape, set_.size_px)
    bar = sheet.rule(sheet.left, top - gap - sheet.bar, set_.size_px * 0.92, sheet.bar, style.accent)
    return [Part(dark), Part(bar, grows="left"), *coming(lines, sheet)]


def _lower(text: str, sheet: Sheet) -> list[Part]:
    """Above the captions, as films do: a fine line, the title under it, the picture free above."""
    style, plan = sheet.style, sheet.plan
    set_ = sheet.set_title(text, width=min(style.title_width * plan.width, sheet.right - sheet.left))
    fine, gap = max(2, sheet.bar // 4 * 2), 0.42 * set_.size_px
    top = sheet.bottom - 0.3 * set_.size_px - set_.height
    lines, shape = sheet.lines(set_, (sheet.left, top), 2, style.text)
    _, down = sheet.grid()
    start = top - gap - 0.40 * plan.height
    fall = eased((down - start) / (plan.height - start) * 1.15)
    dark = sheet.shadow(fall, shape, set_.size_px)
    line = sheet.rule(sheet.left, top - gap - fine, min(set_.width, 0.34 * plan.width), fine, style.accent)
    return [Part(dark), Part(line, grows="left"), *coming(lines, sheet, 0.05)]


def _centre(text: str, sheet: Sheet) -> list[Part]:
    """In the middle of the frame, which darkens around it, above a fine line."""
    style, plan = sheet.style, sheet.plan
    width = min(style.title_width * plan.width, 2 * sheet.right - plan.width)
    set_ = sheet.set_title(text, width=width, align="centre")
    fine, gap = max(4, sheet.bar // 2), 0.5 * set_.size_px
    top = sheet.middle(set_.height + gap + fine)
    lines, shape = sheet.lines(set_, ((plan.width - set_.width) / 2, top), 2, style.text)
    dark = sheet.shadow(vignette(sheet, top + set_.height / 2, set_), shape, set_.size_px)
    long = min(set_.width * 0.4, 0.2 * plan.width)
    line = sheet.rule((plan.width - long) / 2, top + set_.height + gap, long, fine, style.accent)
    return [Part(dark), *coming(lines, sheet), Part(line, after_s=0.25, grows="middle")]


def _panel(text: str, sheet: Sheet) -> list[Part]:
    """On a sheet of paper, with an edge of the accent."""
    style, plan = sheet.style, sheet.plan
    aside = 0.055 * sheet.short
    room = min(style.title_width * plan.width, sheet.right - sheet.left - 2 * aside - sheet.bar)
    set_ = sheet.set_title(text, width=room)
    width, height = set_.width + 2 * aside + sheet.bar, set_.height + 2 * aside
    top = sheet.middle(height)
    lines, _ = sheet.lines(set_, (sheet.left + sheet.bar + aside, top + aside), 2, style.text)
    edge = sheet.rule(sheet.left, top, sheet.bar, round(height), style.accent)
    below = sheet.paper(sheet.left, top, width, height)
    return [Part(below, grows="left"), Part(edge, grows="top"), *coming(lines, sheet, 0.22)]


def _blocks(text: str, sheet: Sheet) -> list[Part]:
    """Each line on a block of its own, the last one in the accent, coming in from the side."""
    style, plan = sheet.style, sheet.plan
    aside = 0.020 * sheet.short
    set_ = sheet.set_title(text, width=min(style.title_width * plan.width, sheet.right - sheet.left - 2 * aside))
    cap = -bounds(set_.face, "H")[1]
    top = sheet.middle(set_.height + 2 * aside) + aside
    count = len(set_.lines)
    groups = [list(span) for span in np.array_split(np.arange(count), MOST_PARTS) if span.size]
    parts: list[Part] = []
    for place, group in enumerate(groups):
        boxes: list[Patch] = []
        for number in group:
            line, lit = set_.lines[number], number == count - 1
            colour = style.accent if lit else style.scrim
            upper = top + line.baseline - cap - aside
            boxes.append(sheet.rule(sheet.left, upper, line.width + 2 * aside, cap + 2 * aside, colour))
            colour_of_letters = read_on(style.accent, (style.text, style.scrim)) if lit else style.text
            boxes.append(ink(set_, [number], (sheet.left + aside, top), colour_of_letters, sheet.size)[0])
        parts.append(Part(merged(boxes), after_s=0.09 * place, right=-0.8 * sheet.left, grows="left"))
    return parts


_LAYOUTS: Final[dict[TitleLayout, Callable[[str, Sheet], list[Part]]]] = {
    "side": _side,
    "lower": _lower,
    "centre": _centre,
    "panel": _panel,
    "blocks": _blocks,
}
