"""How the view travels over a still: a slow zoom or pan, led by what is in the picture, never one kind twice running.

Guarantees that the view never leaves the picture, that zooms end on or start from what matters and pans end towards it,
and that a second of film moves by about as much in a long shot as in a short one. What matters is told (see
drawing/interest.py); where nothing is, it keeps to the middle, a little above it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

#: The nearest a view gets; pictures are prepared sharp enough for it.
LARGEST_ZOOM: Final = 1.16
#: The farthest: a little of the picture is kept back, so that no edge is ever touched.
_FARTHEST: Final = 1.02
#: How much a view travels in a second, as a share of the frame: a long shot does not crawl, a short one does not rush.
_SLOWEST, _FASTEST = 0.014, 0.024
#: A zoom moves the edges by half of what it grows by, and the middle not at all, so it may grow by more.
_ZOOM_PACE: Final = 1.5
#: Pans drift a little nearer; a view of one scale all along looks dead.
_DRIFT: Final = 0.02
#: Where in the frame the eye rests, from and to: above the captions. What is there already stays; so a zoom on it grows
#: around it.
_REST_X, _REST_Y = (0.4, 0.6), (0.36, 0.58)
_MIDDLE: Final = 0.5
#: Where what matters stands in a picture that is cut above and below: what belongs to it is rather above, as heads are.
_CUT_Y: Final = 0.58
#: From here down a thing would lie under the captions.
_LOW: Final = 0.66
#: Interest that is spread more widely than this has no one place to go to.
_SPREAD: Final = 0.75
#: How far a point is carried on average by a zoom from 1 to 2: its distance from the middle, half sides to a frame.
_ZOOM_REACH: Final = 0.27

Kind = Literal["in", "out", "left", "right", "up", "down"]


class Interest(msgspec.Struct, frozen=True):
    """Where in a picture there is something to see: from (0, 0), the upper left corner, to (1, 1)."""

    x: float = 0.5
    y: float = 0.4
    #: How far it is scattered along each side: 0 in one place, 1 everywhere alike.
    spread_x: float = 1.0
    spread_y: float = 1.0
    #: Width by height of the picture; 0 where it is that of the frame.
    shape: float = 0.0


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

    @property
    def way(self) -> float:
        """How far it carries a point of the picture, on average, as a share of the frame."""
        room = 1 - 1 / max(self.zoom_from, self.zoom_to)
        pan = room * max(abs(self.x_to - self.x_from), abs(self.y_to - self.y_from))
        return max(pan, _ZOOM_REACH * abs(self.zoom_to - self.zoom_from))


#: All of the picture, and no move: of clips, which move by themselves.
UNMOVED: Final = Move("none", 1.0, 1.0, 0.5, 0.5, 0.5, 0.5)


def cut(interest: Interest, shape: float) -> tuple[float, float, float, float]:
    """The largest part of a picture that has this ratio of width to height, with what matters where the eye rests.

    Left and top, width and height, as shares of the picture's.
    """
    own = interest.shape or shape
    wide, tall = min(1.0, shape / own), min(1.0, own / shape)
    left = min(max(interest.x - _MIDDLE * wide, 0.0), 1 - wide)
    top = min(max(interest.y - _CUT_Y * tall, 0.0), 1 - tall)
    return left, top, wide, tall


def moves(shots: Sequence[tuple[Interest, float]], shape: float, seed: int) -> list[Move]:
    """A move for each shot of so many seconds, in frames of this shape: the same for the same seed."""
    # Not for secrets: the seed is there so that the same order gives the same film.
    dice = random.Random(seed)  # noqa: S311
    chosen: list[Move] = []
    for interest, seconds in shots:
        seen = _after_cut(interest, shape)
        kinds = [kind for kind in _kinds(seen) if not chosen or kind != chosen[-1].kind]
        chosen.append(_move(dice.choice(kinds), seen, seconds, dice.uniform(_SLOWEST, _FASTEST)))
    return chosen


def _after_cut(interest: Interest, shape: float) -> Interest:
    """The same interest in the part of the picture that is shown."""
    left, top, wide, tall = cut(interest, shape)
    return Interest(
        min(max((interest.x - left) / wide, 0.0), 1.0),
        min(max((interest.y - top) / tall, 0.0), 1.0),
        min(interest.spread_x / wide, 1.0),
        min(interest.spread_y / tall, 1.0),
    )


def _kinds(seen: Interest) -> list[Kind]:
    """What suits such a picture; at least two."""
    sideways: Kind = "right" if seen.x >= _MIDDLE else "left"
    upright: Kind = "down" if seen.y >= _MIDDLE else "up"
    if seen.y >= _LOW:
        # The view stays low, so that things stand higher in the frame; one from far away would show them at the bottom.
        return ["in", sideways, upright]
    if min(seen.spread_x, seen.spread_y) >= _SPREAD:
        return ["in", "out", "left", "right", upright]
    return ["in", "out", sideways if seen.spread_x >= seen.spread_y else upright]


def _move(kind: Kind, seen: Interest, seconds: float, speed: float) -> Move:
    if kind in ("in", "out"):
        far = LARGEST_ZOOM - 0.08 if seen.y >= _LOW else _FARTHEST
        near = min(LARGEST_ZOOM, far * (1 + _ZOOM_PACE * speed * seconds))
        x, y = _standing(seen.x, near, _REST_X), _standing(seen.y, near, _REST_Y)
        return Move(kind, far, near, x, x, y, y) if kind == "in" else Move(kind, near, far, x, x, y, y)
    near = min(LARGEST_ZOOM, max(_FARTHEST + 2 * _DRIFT, 1 / (1 - min(speed * seconds, 0.5))))
    length = min(speed * seconds / (1 - 1 / near), 1.0)
    x, y = _standing(seen.x, near, _REST_X), _standing(seen.y, near, _REST_Y)
    x_from, x_to, y_from, y_to = x, x, y, y
    if kind == "right":
        x_from, x_to = _towards(x, length)
    elif kind == "left":
        x_from, x_to = (1 - place for place in _towards(1 - x, length))
    elif kind == "down":
        y_from, y_to = _towards(y, length)
    else:
        y_from, y_to = (1 - place for place in _towards(1 - y, length))
    return Move(kind, near - _DRIFT, near, x_from, x_to, y_from, y_to)


def _standing(place: float, zoom: float, rests: tuple[float, float]) -> float:
    """Where a view of this zoom stands, 0 to 1, to show the place where the eye rests, or as near to it as it can."""
    rest = min(max(place, rests[0]), rests[1])
    return min(max((place - rest / zoom) / (1 - 1 / zoom), 0.0), 1.0)


def _towards(end: float, length: float) -> tuple[float, float]:
    """A way of this length upwards that ends here, or as soon after it as there is room."""
    end = max(end, length)
    return end - length, end
