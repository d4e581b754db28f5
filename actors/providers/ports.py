"""The three things a provider can be: a writer, a finder, a speaker; and what finders and speakers leave on disk.

These are the free ones: they cost nothing, need no key and are plain functions. Each is called in a thread and calls
`checkpoint` between units of work; what `checkpoint` raises passes through, and half-written files may then remain in
the folder that was given, which the caller owns.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from schema.documents import Brief, Script, SpokenScene

#: Raises whatever shall stop the work; returns nothing otherwise.
Checkpoint = Callable[[], None]


class Found(msgspec.Struct, frozen=True):
    """A picture file for the scene with index `scene`; width and height in pixels."""

    scene: int
    path: Path
    width: int
    height: int
    #: Attribution to show and licence; empty for what is the user's own or was made here.
    credit: str = ""
    licence: str = ""


class Spoken(msgspec.Struct, frozen=True):
    """A narration on disk: how long it is, and when each word of each scene sounds."""

    sample_rate_hz: int
    duration_s: float
    scenes: tuple[SpokenScene, ...]


class Writer(Protocol):
    """Writes a script for a brief."""

    def __call__(self, brief: Brief) -> Script:
        """Write it; raises `PermanentError` when the brief does not hold enough to write from."""


class Finder(Protocol):
    """Leaves at least one picture for each scene in the folder `out`."""

    def __call__(
        self, script: Script, out: Path, *, width: int, height: int, seed: int, checkpoint: Checkpoint
    ) -> list[Found]:
        """Find or make them, in the order of their scenes; the same seed gives the same pictures."""


class Speaker(Protocol):
    """Reads a script aloud."""

    def speak(self, script: Script, out_wav: Path, *, checkpoint: Checkpoint) -> Spoken:
        """Write a mono WAV; raises `PermanentError` naming what cannot be said."""
