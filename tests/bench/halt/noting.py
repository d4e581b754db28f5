"""Inside a watched process: notes when its gate shuts and opens, and, in a render's child, each frame encoded.

Wraps methods before the product's own module runs, and changes nothing of what they do.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.halt.slots import FILE, FRAME, FRAMES, OPENED, ROW, SHUT, Slots


def begin() -> None:
    """Wrap what this process will use."""
    slots, row = Slots(Path(os.environ[FILE])), int(os.environ[ROW])
    if "actors.rendering" in sys.orig_argv:
        _note_frames(slots, row)
    else:
        _note_gate(slots, row)


def _note_gate(slots: Slots, row: int) -> None:
    from streams.gate import Gate, State  # noqa: PLC0415 - a render's child knows no gate

    def noted(state: State) -> None:
        slots.note(row, OPENED if state == "open" else SHUT, time.monotonic_ns())

    made: Callable[..., None] = Gate.__init__

    def make(self: Gate, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever the product gives
        made(self, *args, **kwargs)
        self.on_change(noted)  # the first of all that are told

    Gate.__init__ = make  # type: ignore[method-assign]


def _note_frames(slots: Slots, row: int) -> None:
    from actors.rendering.encoding import encoder  # noqa: PLC0415 - codecs load in a render's child alone

    shown = encoder._Pictures.show

    def show(self: Any, frame: Any) -> int:  # noqa: ANN401 - whatever the product gives
        whole = shown(self, frame)
        slots.note(row, FRAME, time.monotonic_ns())
        slots.add(row, FRAMES)
        return whole

    encoder._Pictures.show = show  # type: ignore[method-assign]
