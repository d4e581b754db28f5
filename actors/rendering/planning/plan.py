"""The plan of a film: what every frame shows, in frames, and when it speaks, in seconds of the film.

The renderer carries it out and the inspection holds the finished file against it, so it is kept beside the film.
Spans of frames run from `first` up to, and not including, `end`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.rendering.planning.clipping import Part
from actors.rendering.planning.framing import Move

#: How a shot takes over from the one before; the last four name where the edge goes.
Transition = Literal["cut", "fade", "wipe_left", "wipe_right", "wipe_up", "wipe_down"]


class Shot(msgspec.Struct, frozen=True):
    """One picture and its move; takes over in its first `fade` frames, while the shot before is still there."""

    #: Index into the order's pictures.
    picture: int
    scene: int
    first: int
    end: int
    fade: int
    move: Move
    transition: Transition = "fade"
    #: What matters in the picture, from (0, 0) in its upper left corner to (1, 1); kept where it must be cut.
    focus: tuple[float, float] = (0.5, 0.4)
    #: What it shows of its clip; None where the picture is a still.
    part: Part | None = None


class Caption(msgspec.Struct, frozen=True):
    """One phrase; `words[i]` is lit from frame `starts[i]` on."""

    words: tuple[str, ...]
    starts: tuple[int, ...]
    first: int
    end: int


class Card(msgspec.Struct, frozen=True):
    """Text laid over the pictures."""

    kind: Literal["title", "chapter", "credit", "outro"]
    text: str
    first: int
    end: int


class Silence(msgspec.Struct, frozen=True):
    """A stretch in which nobody speaks, seconds of the film."""

    start_s: float
    end_s: float


class Plan(msgspec.Struct, frozen=True):
    """A whole film."""

    width: int
    height: int
    fps: int
    frames: int
    #: Where the voice's first sample lies, and how long the voice is.
    voice_start_s: float
    voice_s: float
    shots: tuple[Shot, ...]
    captions: tuple[Caption, ...]
    cards: tuple[Card, ...]
    silences: tuple[Silence, ...]
    #: Shots, by index, whose picture has too little in it for a move to be seen; known once it was prepared.
    flat_shots: tuple[int, ...] = ()
    #: The name of its style.
    style: str = "default"
    #: What plays under the voice: `made:` and a mood, `file:` and the path of the user's own, or nothing.
    music: str = ""

    @property
    def duration_s(self) -> float:
        """The length of the film, on the grid of frames."""
        return self.frames / self.fps
