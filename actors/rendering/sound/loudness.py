"""Loudness by ITU-R BS.1770 / EBU R 128 and true peaks, block by block, in numpy.

A meter keeps an energy for every 20 ms and a peak for every 64 samples, and nothing of the sound. It looks for peaks
between the samples only where these come near a level that matters: that is what makes it cheap. It agrees with
FFmpeg's `ebur128` within a few hundredths of a dB.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from actors.rendering.sound.samples import BLOCK, RATE_HZ, Loudness, Samples

#: Samples of one reading of energy (20 ms), and of one peak.
STEP, CHUNK = 960, 64
STEPS_S: Final = RATE_HZ / STEP
_HISTORY: Final = 8192
#: The K-weighting of BS.1770 at 48 kHz: a shelf for the head, and a high-pass; numerators and denominators.
_BIQUADS: Final = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
#: Gating: readings of 400 ms every 100 ms; absolute, and relative to the mean of what is above that.
_READING, _EVERY, _ABSOLUTE_LUFS, _RELATIVE_LU = 20, 5, -70.0, 10.0
_TAPS: Final = 12
Curve = NDArray[np.float32]


class Meter:
    """Hears blocks of BLOCK samples, the last one may be shorter; one channel counts as heard from two speakers."""

    def __init__(self, *, peaks_above: float) -> None:
        """Peaks between samples are looked for only where a sample is above `peaks_above`, linear."""
        self._above = peaks_above
        self._history: Samples = np.zeros((1, 0), np.float32)
        self._energies: list[Curve] = []
        self._peaks: list[Curve] = []
        self._pending: Samples = np.zeros((1, 0), np.float32)
        self.count = 0

    def hear(self, block: Samples) -> None:
        """Take the next block."""
        channels, count = block.shape
        if not self.count:
            self._history = np.zeros((channels, _HISTORY), np.float32)
            self._pending = np.zeros((channels, CHUNK), np.float32)
        self.count += count
        self._weigh(block)
        self._look(np.pad(block, ((0, 0), (0, -count % CHUNK))))

    def energies(self) -> Curve:
        """The K-weighted energy of every 20 ms, summed over the speakers."""
        return np.concatenate(self._energies) if self._energies else np.zeros(0, np.float32)

    def peaks(self) -> Curve:
        """The highest level of every 64 samples."""
        if self._pending.shape[1] > CHUNK:
            self._look(np.zeros((len(self._pending), CHUNK), np.float32))
            self._pending = self._pending[:, :CHUNK]
        heard = np.concatenate(self._peaks) if self._peaks else np.zeros(0, np.float32)
        return heard[: -(-self.count // CHUNK)]

    def loudness(self) -> Loudness:
        """Of all that was heard."""
        peak = float(self.peaks().max(initial=0.0))
        return Loudness(integrated(self.energies()), 20 * float(np.log10(peak)) if peak > 0 else -np.inf)

    def _weigh(self, block: Samples) -> None:
        count = block.shape[1]
        whole = np.concatenate([self._history, block], axis=1)
        self._history = whole[:, -_HISTORY:]
        size = BLOCK + _HISTORY
        weighted = np.fft.irfft(np.fft.rfft(whole, size) * _weighting(size), size)[:, _HISTORY : _HISTORY + count]
        weighted = np.pad(weighted, ((0, 0), (0, -count % STEP)))
        speakers = np.float32(2 if len(block) == 1 else 1)
        squares = np.einsum("cns,cns->n", *(weighted.reshape(len(block), -1, STEP),) * 2, dtype=np.float32)
        self._energies.append(squares * (speakers / np.float32(STEP)))

    def _look(self, block: Samples) -> None:
        """Note the peaks of what was pending; what comes next is needed to see between its last samples."""
        seen = np.concatenate([self._pending, block], axis=1)
        self._pending = seen[:, -2 * CHUNK :]
        if seen.shape[1] < 3 * CHUNK:  # nothing yet on both sides
            self._pending = seen
            return
        tops = np.abs(seen).max(axis=0).reshape(-1, CHUNK).max(axis=1)[1:-1]
        hot = np.flatnonzero(tops > self._above)
        if hot.size:
            for channel in seen:
                around = np.lib.stride_tricks.sliding_window_view(channel, CHUNK + 2 * _TAPS)[(hot + 1) * CHUNK - _TAPS]
                between = np.abs(around @ _between()).max(axis=1)
                tops[hot] = np.maximum(tops[hot], between)
        self._peaks.append(tops)


def integrated(energies: Curve) -> float:
    """The gated loudness of these readings, LUFS; -inf where there is nothing to hear."""
    total = np.concatenate([[0.0], np.cumsum(energies, dtype=np.float64)])
    if energies.size < _READING:
        return -np.inf
    means = ((total[_READING:] - total[:-_READING]) / _READING)[::_EVERY]
    loud = means[means > _energy(_ABSOLUTE_LUFS)]
    if not loud.size:
        return -np.inf
    louder = loud[loud > loud.mean() * 10 ** (-_RELATIVE_LU / 10)]
    return lufs(float(louder.mean()))


def lufs(energy: float) -> float:
    """The loudness of a mean energy."""
    return -0.691 + 10 * float(np.log10(energy)) if energy > 0 else -np.inf


def _energy(level_lufs: float) -> float:
    return float(10 ** ((level_lufs + 0.691) / 10))


@cache
def _weighting(size: int) -> NDArray[np.complex64]:
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones(z.size, np.complex128)
    for above, below in _BIQUADS:
        response *= np.polyval(above[::-1], z) / np.polyval(below[::-1], z)
    return response.astype(np.complex64)


@cache
def _between() -> Samples:
    """What makes of 64 samples, and 12 more on either side, the three points after each at four times the rate."""
    places = np.arange(CHUNK)[:, None] + np.array([0.25, 0.5, 0.75])
    distance = np.arange(-_TAPS, CHUNK + _TAPS)[:, None] - places.reshape(-1)
    window = np.i0(8.0 * np.sqrt(np.maximum(0, 1 - (distance / _TAPS) ** 2))) / np.i0(8.0)
    response: Samples = (np.sinc(distance) * window * (np.abs(distance) < _TAPS)).astype(np.float32)
    return response
