"""How one shot takes over from another: by how much it covers what is below, and where.

A crossfade covers evenly; a wipe's soft edge travels across the frame, off it on both sides, quickest in the middle.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from actors.rendering.planning.plan import Transition

#: How wide a wipe's edge is, as a share of the frame.
_EDGE: Final = 0.14


class Cover(NamedTuple):
    """As in a Layer: `weight + across * u + down * v`, between 0 and 1."""

    weight: float
    across: float = 0.0
    down: float = 0.0


WHOLLY: Final = Cover(1.0)


def cover(transition: Transition, progress: float) -> Cover:
    """The cover of the shot that takes over; 0 is before its first frame, 1 when the other is gone."""
    if progress >= 1 or transition == "cut":
        return WHOLLY
    if transition == "fade":
        return Cover(progress)
    eased = progress * progress * (3 - 2 * progress)
    slope = 1 / _EDGE
    # the place where the edge begins to cover, as the share of its way that is behind it
    behind = eased * (1 + _EDGE) * slope
    if transition == "wipe_right":
        return Cover(behind, across=-slope)
    if transition == "wipe_left":
        return Cover(behind - slope, across=slope)
    return Cover(behind, down=-slope) if transition == "wipe_down" else Cover(behind - slope, down=slope)
