"""The frames of a film on a card: lent out one after the other, and back when nobody reads them any more.

Each is an allocation of its own that lives as long as the ring, outside cupy's pools, because NVENC registers addresses
and goes on using them. A frame comes back when the last array or encoder that holds it lets go, which for NVENC is when
its packet is out, and is then used last of all: nothing that is still being read is ever written. The ring grows until
it is longer than what is held.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final
from weakref import finalize

from actors.rendering.composing.card import Card, CardError

#: NVENC wants rows that begin at such addresses; it costs 7% of memory at a width of 1920.
PITCH_BYTES: Final = 256
#: Frames that NVENC can have registered at once (FFmpeg's nvenc.h), so no ring is longer.
MOST_FRAMES: Final = 64


class _Lent:
    """One frame out of the ring; when it goes, the frame is back."""

    __slots__ = ("__weakref__",)


class Ring:
    """Frames of one size; for one thread, but frames come back on any."""

    def __init__(self, card: Card, width: int, height: int) -> None:
        self._card, self._shape = card, (height * 3 // 2, -(-width // PITCH_BYTES) * PITCH_BYTES)
        self._all: list[Any] = []
        self._free: deque[Any] = deque()

    @property
    def pitch(self) -> int:
        """Bytes from one row to the next."""
        return self._shape[1]

    @property
    def length(self) -> int:
        """Frames there are, lent or not."""
        return len(self._all)

    def take(self) -> Any:  # noqa: ANN401 - a cupy array
        """A frame of undefined content, (height * 3 / 2, pitch). Raises CardError when all are held."""
        memory = self._free.popleft() if self._free else self._grown()
        lent = _Lent()
        finalize(lent, self._free.append, memory).atexit = False
        return self._card.lend(memory, lent, self._shape)

    def _grown(self) -> Any:  # noqa: ANN401 - cupy's memory
        if len(self._all) >= MOST_FRAMES:
            raise CardError(f"the encoder holds {MOST_FRAMES} frames and gives none back", "failed")
        self._all.append(self._card.allocate(self._shape[0] * self._shape[1]))
        return self._all[-1]
