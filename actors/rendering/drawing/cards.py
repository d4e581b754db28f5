"""Cards as time passes: titles, headings, credits and the end come in part by part and leave together.

Each is drawn once. While it moves, its parts are laid with more or less opacity, a little off their places, and never
drawn anew; once it has arrived it is one patch. None reaches down to the captions, and all together take at most
`sheet.MOST_PARTS` patches a frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.rendering.drawing.ending import end
from actors.rendering.drawing.fonts import drawable
from actors.rendering.drawing.labels import chapter, credit
from actors.rendering.drawing.patches import moved, uncovered
from actors.rendering.drawing.sheet import Drawn, Faces
from actors.rendering.drawing.titles import title
from actors.rendering.nv12 import Patch
from actors.rendering.planning.plan import Card, Plan
from actors.rendering.styles import Style

#: A part comes in within this, and a card leaves within that, seconds.
_COMING_S, _LEAVING_S = 0.5, 0.35
_DRAW: Final[dict[str, Callable[[str, Plan, Style, Faces], Drawn]]] = {
    "title": title,
    "chapter": chapter,
    "credit": credit,
    "outro": end,
}


class Cards:
    """The cards of one film; ask for frames in rising order."""

    def __init__(self, plan: Plan, style: Style, faces: Faces) -> None:
        self._plan, self._style, self._faces = plan, style, faces
        self._drawn: dict[Card, Drawn] = {}

    def at(self, frame: int) -> list[tuple[Patch, float]]:
        """What is laid over this frame, the lowest first, and how opaque it is, 0 to 1."""
        shown = [card for card in self._plan.cards if card.first <= frame < card.end]
        self._drawn = {card: self._drawn.get(card) or self._draw(card) for card in shown}
        return [laid for card, drawn in self._drawn.items() for laid in self._laid(card, drawn, frame)]

    def _draw(self, card: Card) -> Drawn:
        text = "\n".join(drawable(line) for line in card.text.split("\n"))
        return _DRAW[card.kind](text, self._plan, self._style, self._faces)

    def _laid(self, card: Card, drawn: Drawn, frame: int) -> list[tuple[Patch, float]]:
        plan = self._plan
        since_s = (frame - card.first + 1) / plan.fps
        # The end stays: a player rests on the last frame.
        stays = 1.0 if card.kind == "outro" else _smooth((card.end - frame) / plan.fps / _LEAVING_S)
        if since_s >= max(part.after_s for part in drawn.parts) + _COMING_S:
            return [(drawn.whole, stays)]
        laid = []
        for part in drawn.parts:
            come = (since_s - part.after_s) / _COMING_S
            if come <= 0:
                continue
            arrived = _arriving(come)
            patch = moved(part.patch, (1 - arrived) * part.right, (1 - arrived) * part.down, (plan.width, plan.height))
            laid.append((uncovered(patch, part.grows, arrived), _smooth(come) * stays))
        return laid


def _smooth(share: float) -> float:
    """0 to 1 with a soft start and a soft end."""
    clipped = min(max(share, 0.0), 1.0)
    return clipped * clipped * (3 - 2 * clipped)


def _arriving(share: float) -> float:
    """0 to 1, fast first and ever slower."""
    return 1 - (1 - min(max(share, 0.0), 1.0)) ** 3
