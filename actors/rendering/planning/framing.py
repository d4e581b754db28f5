"""How the view travels over a still: a slow zoom or pan, never the same one twice in a row.

Guarantees that the view never leaves the picture and that a move is quick enough to be seen. It cannot know what
matters in a picture; it keeps to the middle, a little above it.
"""

from __future__ import annotations

import random

import msgspec

#: The nearest a view gets; pictures are prepared sharp enough for it.
LARGEST_ZOOM = 1.16
_FARTHEST = 1.02


class Move(msgspec.Struct, frozen=True):
    """A view's way from the first frame of a shot to its last.

    Zoom 1 shows the whole picture. `x` and `y` say where in the room that the zoom leaves the view stands: 0 is the
    left or upper edge, 1 the right or lower one.
    """

    kind: str
    zoom_from: float
    zoom_to: float
    x_from: float
    x_to: float
    y_from: float
    y_to: float

    def at(self, progress: float) -> tuple[float, float, float]:
        """Zoom, x and y at `progress` from 0 to 1."""
        zoom = self.zoom_from + (self.zoom_to - self.zoom_from) * progress
        x = self.x_from + (self.x_to - self.x_from) * progress
        y = self.y_from + (self.y_to - self.y_from) * progress
        return zoom, x, y


_KINDS = ("in", "right", "out", "left", "up")


def moves(count: int, seed: int) -> list[Move]:
    """`count` moves, the same for the same seed, no kind twice in a row."""
    # Not for secrets: the seed is there so that the same order gives the same film.
    dice = random.Random(seed)  # noqa: S311
    chosen: list[Move] = []
    for _ in range(count):
        others = [kind for kind in _KINDS if not chosen or kind != chosen[-1].kind]
        chosen.append(_move(dice.choice(others), dice))
    return chosen


def _move(kind: str, dice: random.Random) -> Move:
    x, y = dice.uniform(0.35, 0.65), dice.uniform(0.35, 0.5)
    near, pan = LARGEST_ZOOM, LARGEST_ZOOM - 0.02
    if kind == "in":
        return Move(kind, _FARTHEST, near, x, x, y, y)
    if kind == "out":
        return Move(kind, near, _FARTHEST, x, x, y, y)
    if kind == "up":
        return Move(kind, near, pan, x, x, 0.95, 0.1)
    start, end = (0.05, 0.95) if kind == "right" else (0.95, 0.05)
    return Move(kind, pan, near, start, end, y, y)
