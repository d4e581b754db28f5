"""What puts a frame together, whatever it computes on: pictures are prepared once, frames composed from them.

A compositor belongs to one film and one size of frame. `prepare` may be called from another thread than `compose`, and
`frame` from a third.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import av
import numpy as np

from actors.rendering.composing.card import Card
from actors.rendering.nv12 import Nv12, Patch, Pixels


class OnCard(NamedTuple):
    """A moving picture as it lies on a card: NV12 of BT.709, limited, both planes in rows of `pitch` bytes.

    It has the frame's shape, and is as large or up to twice as large.
    """

    #: Addresses on the card.
    luma: int
    chroma: int
    pitch: int
    width: int
    height: int
    #: Whose memory it is: it stays what it is for as long as this is held.
    owner: object


class Fills(Protocol):
    """A moving picture at one moment, in the size of the frame."""

    def fill(self, target: Nv12) -> None:
        """Write all of it into these planes; not to be asked of what lies on a card."""
        ...

    def on_card(self) -> OnCard | None:
        """Where it lies on the card that decoded it, or None: it is in memory."""
        ...


class Canvas(NamedTuple):
    """A prepared picture; `width` and `height` are those of the picture in it, without what was put around."""

    #: As its compositor holds it: NV12 in memory, or RGB on a card; of a moving one, what its `moving` made of it.
    picture: Any
    width: int
    height: int
    #: How steep the picture is: levels of luma (of 255) that a step of one pixel changes, on average.
    slope: float


class Layer(NamedTuple):
    """A picture as one frame shows it: zoom 1 shows all of it, `x` and `y` place the view in the room left (0 to 1).

    At a place (u, v) of the frame, from (0, 0) in the upper left corner to (1, 1) in the lower right one, it covers
    what is below by `weight + across * u + down * v`, held between 0 and 1: a crossfade has no slope, a wipe's edge is
    one over the slope wide.
    """

    canvas: Canvas
    zoom: float
    x: float
    y: float
    #: How much of it covers the layer below; between 0 and 1 where there is no slope.
    weight: float
    across: float = 0.0
    down: float = 0.0

    def view(self, width: int, height: int) -> tuple[float, float, float]:
        """Scale, left and top of the view that a frame of this size has, in pixels of the picture."""
        scale = self.canvas.width / (width * self.zoom)
        left = (self.canvas.width - width * scale) * self.x
        return scale, left, max(0.0, self.canvas.height - height * scale) * self.y


class Compositor(Protocol):
    """Frames of one size."""

    @property
    def card(self) -> Card | None:
        """The card that may decode what moves, as its pictures are wanted there."""
        ...

    def canvas_size(self) -> tuple[int, int]:
        """Width and height to which a picture must be sized before it is prepared."""
        ...

    def prepare(self, rgb: Pixels) -> Canvas:
        """The picture, ready to be shown by many frames."""
        ...

    def moving(self, picture: Fills) -> Canvas:
        """What a moving picture shows now, for the next frame only: all of it, unmoved, zoom 1."""
        ...

    def compose(self, layers: Sequence[Layer], patches: Sequence[tuple[Patch, float]]) -> Nv12:
        """A new frame: the layers from the lowest up, then the patches with their opacity, 0 to 1.

        Its planes are arrays of the compositor's own kind: where they are, only `frame` must know.
        """
        ...

    def frame(self, picture: Nv12) -> av.VideoFrame:
        """What was composed, as an encoder takes it: tagged, sharing its memory."""
        ...


def slope(luma: Pixels) -> float:
    """How steep a picture is (see `Canvas`), from every fourth pixel of every fourth row."""
    steps = luma[::4, ::4].astype(np.int16)
    return float(np.abs(np.diff(steps, axis=1)).mean() + np.abs(np.diff(steps, axis=0)).mean()) / 8
