"""The narrator's voice: listened to once, then read again block by block, so that its length costs no memory.

Listening says how long it is, how loud each fiftieth of a second, and where somebody speaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.rendering.sound.loudness import STEP, STEPS_S, Curve, Meter, integrated
from actors.rendering.sound.samples import RATE_HZ, Samples, read
from schema.errors import PermanentError

#: A voice softer than this is no voice, LUFS.
_INAUDIBLE_LUFS: Final = -60.0
#: What is this much softer than the voice as a whole is breath, room or nothing, LU.
_SPEECH_LU: Final = 22.0
#: Stretches of speech with less than this between them are one phrase, seconds.
_BREATH_S: Final = 0.25

Span = tuple[float, float]


class Voice(NamedTuple):
    """A voice that was listened to; times are seconds of the voice."""

    path: str
    samples: int
    lufs: float
    #: K-weighted energy of every 20 ms, as heard from two speakers.
    energies: Curve
    #: Phrases, from the first sound to the last.
    phrases: tuple[Span, ...]

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return self.samples / RATE_HZ

    def blocks(self) -> Iterator[Samples]:
        """The voice itself, (1, BLOCK) at a time."""
        return read(self.path, "mono", called="voice")


def listen(path: str) -> Voice:
    """Hear the voice through.

    Raises PermanentError, naming the file, when it cannot be read, holds no sound, or is silent.
    """
    meter = Meter(peaks_above=np.inf)
    for block in read(path, "mono", called="voice"):
        meter.hear(block)
    energies = meter.energies()
    lufs = integrated(energies)
    if not lufs >= _INAUDIBLE_LUFS:
        got = f"{lufs:.1f} LUFS, expected more than {_INAUDIBLE_LUFS:.0f}"
        raise PermanentError(f"the voice {Path(path).name} is silent: {got}")
    return Voice(path, meter.count, lufs, energies, tuple(_phrases(energies, lufs)))


def _phrases(energies: Curve, lufs: float) -> Iterator[Span]:
    level = 10 ** ((lufs - _SPEECH_LU + 0.691) / 10)
    spoken = np.flatnonzero(energies > level)
    if not spoken.size:
        return
    for run in np.split(spoken, np.flatnonzero(np.diff(spoken) > _BREATH_S * STEPS_S) + 1):
        yield _span(run)


def _span(run: NDArray[np.intp]) -> Span:
    return float(run[0]) * STEP / RATE_HZ, float(run[-1] + 1) * STEP / RATE_HZ
