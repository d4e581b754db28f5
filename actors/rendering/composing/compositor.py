"""What puts a frame together, whatever it computes on: pictures are prepared once, frames composed from them.

A compositor belongs to one film and one size of frame. `prepare` may be called from another thread than `compose`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from actors.rendering.nv12 import Nv12, Patch, Pixels


class Canvas(NamedTuple):
    """A prepared picture; `width` and `height` are those of the picture in it, without what was put around."""

    picture: Nv12
    width: int
    height: int


class Layer(NamedTuple):
    """A picture as one frame shows it: zoom 1 shows all of it, `x` and `y` place the view in the room left (0 to 1)."""

    canvas: Canvas
    zoom: float
    x: float
    y: float
    #: How much of it covers the layer below, 0 to 1.
    weight: float


class Compositor(Protocol):
    """Frames of one size."""

    def canvas_size(self) -> tuple[int, int]:
        """Width and height to which a picture must be sized before it is prepared."""
        ...

    def prepare(self, rgb: Pixels) -> Canvas:
        """The picture, ready to be shown by many frames."""
        ...

    def compose(self, layers: Sequence[Layer], patches: Sequence[tuple[Patch, float]]) -> Nv12:
        """A new frame: the layers from the lowest up, then the patches with their opacity, 0 to 1."""
        ...
