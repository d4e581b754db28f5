"""How far the voice in a film is from where the plan put it, piece by piece, so that a drift shows as well.

Envelopes of a millisecond are correlated, so the answer is in whole milliseconds. A piece in which the voice cannot be
recognised, because it is missing or drowned, counts as not found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from actors.rendering.inspecting.senses import ENVELOPE_HZ, Envelope

#: The voice is compared in pieces this long, and looked for this far to either side, milliseconds.
_PIECE_MS, _REACH_MS = 8_000, 500
#: Pieces with less movement in them than this share of the voice's own are pauses.
_PAUSE = 0.2


class Sync(NamedTuple):
    """The lag of the piece that is farthest off, positive when late, and how many of the pieces were found."""

    worst_ms: int
    found: int
    pieces: int


def sync(film: Envelope, voice: Envelope, start_s: float, alike: float = 0.5) -> Sync:
    """Look for each piece of the voice around its place in the film; from a correlation of `alike` on it is found."""
    start, lags, pieces = round(start_s * ENVELOPE_HZ), [], 0
    padded = np.pad(film, (_REACH_MS, _REACH_MS + max(0, start + voice.size - film.size)))
    count = max(1, voice.size // _PIECE_MS)
    for piece in np.array_split(np.arange(voice.size), count):
        wanted = voice[piece]
        if wanted.std() < _PAUSE * voice.std():
            continue
        pieces += 1
        begin = start + int(piece[0])
        lag, likeness = _best(padded[begin : begin + wanted.size + 2 * _REACH_MS], wanted)
        if likeness >= alike:
            lags.append(lag)
    return Sync(max(lags, key=abs, default=0), len(lags), pieces)


def _best(around: Envelope, wanted: Envelope) -> tuple[int, float]:
    """The shift at which `wanted` fits best, and how well, from -1 to 1."""
    size = 1 << int(around.size + wanted.size).bit_length()
    shape = wanted - wanted.mean()
    product = np.fft.irfft(np.fft.rfft(around, size) * np.conj(np.fft.rfft(shape, size)), size)
    sums, squares = (np.cumsum(np.pad(around.astype(np.float64) ** power, (1, 0))) for power in (1, 2))
    places = np.arange(around.size - wanted.size + 1)
    total, total_squares = (line[places + wanted.size] - line[places] for line in (sums, squares))
    spread = np.sqrt(np.maximum(total_squares - total**2 / wanted.size, 1e-12)) * np.sqrt(float(shape @ shape) + 1e-12)
    likeness = product[places] / spread
    best = int(likeness.argmax())
    return best - _REACH_MS, float(likeness[best])
