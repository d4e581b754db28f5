"""Small cards: the heading of a scene in the upper left corner, whose picture this is in the lower left one."""

from __future__ import annotations

import numpy as np
from PIL import Image

from actors.rendering.drawing.contrast import read_on
from actors.rendering.drawing.fonts import SEMI_BOLD
from actors.rendering.drawing.lettering import box
from actors.rendering.drawing.patches import ground, image_patch, merged
from actors.rendering.drawing.sheet import Drawn, Faces, Part, Sheet, drawn, eased
from actors.rendering.drawing.typesetting import Block, Setting, block, ink
from actors.rendering.planning.plan import Plan
from actors.rendering.styles import Style

#: What a shadow behind small letters hides of the picture.
_SHADOW = 0.78


def chapter(text: str, plan: Plan, style: Style, faces: Faces) -> Drawn:
    """The heading of a scene, in the style's layout."""
    sheet = Sheet(plan, style, faces)
    size = style.chapter_size * sheet.short
    set_ = block(
        text.upper() if style.title_capitals else text,
        faces.display if style.chapter_layout == "block" else faces.text,
        Setting(SEMI_BOLD, size, room=(sheet.right - sheet.left - 2.4 * size, size * 2), most_lines=1),
    )
    if style.chapter_layout == "rule":
        return _ruled(set_, size, sheet)
    is_block = style.chapter_layout == "block"
    aside, above = 0.62 * size, 0.56 * size
    bar = 0.0 if is_block else max(4.0, size * 0.15 // 2 * 2)
    inset = aside if is_block else bar + 0.62 * size
    width, height = round(inset + set_.width + aside), round(set_.height + 2 * above)
    colour = style.accent if is_block else style.scrim
    alpha = 1.0 if is_block else max(style.scrim_alpha, _SHADOW)
    base = image_patch(
        box(width, height, _corner(style, size), colour, alpha), round(sheet.left), round(sheet.top), sheet.size
    )
    letters, _ = ink(
        set_,
        [0],
        (sheet.left + inset, sheet.top + above),
        read_on(style.accent, (style.text, style.scrim)) if is_block else style.text,
        sheet.size,
    )
    parts = [Part(merged([base, letters]), right=-0.9 * size, grows="left" if is_block else "")]
    if not is_block:
        edge = Image.new("RGBA", (round(bar), height), (*style.accent, 255))
        parts.append(
            Part(image_patch(edge, round(sheet.left), round(sheet.top), sheet.size), after_s=0.08, grows="top")
        )
    return drawn(parts)


def _ruled(set_: Block, size_px: float, sheet: Sheet) -> Drawn:
    """On a shadow that falls off from the corner, above a fine line."""
    style, at = sheet.style, (sheet.left, sheet.top + 0.2 * size_px)
    letters, _ = ink(set_, [0], at, style.text, sheet.size)
    fine, below = max(2, sheet.bar // 4 * 2), at[1] + set_.height + 0.55 * size_px
    long = max(set_.width, 2.4 * size_px)
    right, bottom = sheet.left + long + size_px, below + size_px
    wide, tall = 9 * size_px, 5 * size_px
    down, across = np.ogrid[: min(round(bottom + tall), sheet.size[1]), : min(round(right + wide), sheet.size[0])]
    beyond = np.hypot(np.maximum(across - right, 0) / wide, np.maximum(down - bottom, 0) / tall)
    dark = ground(eased(np.asarray(1 - beyond, np.float32)) * np.float32(_SHADOW), style.scrim)
    line = sheet.rule(sheet.left, below, long, fine, style.accent)
    parts = (Part(dark), Part(letters, down=0.3 * size_px), Part(line, after_s=0.1, grows="left"))
    return drawn(parts)


def credit(text: str, plan: Plan, style: Style, faces: Faces) -> Drawn:
    """Whose picture this is: one small line in a box, just above the captions."""
    sheet = Sheet(plan, style, faces)
    size = style.credit_size * sheet.short
    set_ = block(
        text,
        faces.text,
        Setting(
            SEMI_BOLD, size, room=(min(0.7 * plan.width, sheet.right - sheet.left) - 2 * size, 2 * size), most_lines=1
        ),
    )
    aside, above = 0.65 * size, 0.62 * size
    width, height = round(set_.width + 2 * aside), round(set_.height + 2 * above)
    top = sheet.bottom - 0.2 * size - height
    base = box(width, height, _corner(style, size), style.scrim, max(style.scrim_alpha, _SHADOW))
    letters, _ = ink(set_, [0], (sheet.left + aside, top + above), style.text, sheet.size)
    under = image_patch(base, round(sheet.left), round(top), sheet.size)
    return drawn([Part(merged([under, letters]), right=-0.9 * size)])


def _corner(style: Style, size_px: float) -> float:
    """How round boxes are: not at all where headings stand on blocks."""
    return 0.0 if style.chapter_layout == "block" else 0.18 * size_px
