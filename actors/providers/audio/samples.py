"""The sound of one scene as a provider sent it: samples out of its WAV, whatever that says, and a plain WAV of our own.

What a header says of its length is not believed, so the file that is kept says what is in it.
"""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: Channels, bytes of a sample, Hz.
Form = tuple[int, int, int]


def of_wav(content: bytes) -> tuple[Form, NDArray[np.int16]]:
    """The form and the samples of a WAV; no samples where it is none, or of another width than 16 bits."""
    try:
        with wave.open(io.BytesIO(content)) as sound:
            form = (sound.getnchannels(), sound.getsampwidth(), sound.getframerate())
            data = sound.readframes(sound.getnframes())
    except (wave.Error, EOFError, RuntimeError, ValueError, struct.error):  # the library knows them all
        return (0, 0, 0), np.zeros(0, "<i2")
    return form, np.frombuffer(data[: len(data) // 2 * 2] if form[1] == np.dtype("<i2").itemsize else b"", "<i2")


def keep(samples: NDArray[np.int16], sample_rate_hz: int, path: Path) -> None:
    """Write mono samples as a WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
