"""Speech made of tones: a tone for each word, silence between them, and the time of every character.

Not a voice, but sound that a film can carry, whose times are right by construction.
"""

from __future__ import annotations

import io
import wave
import zlib

import msgspec
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 24_000
_LETTER_S, _BLANK_S, _STOP_S, _EDGE_S = 0.06, 0.06, 0.25, 0.1
_LOUDNESS = 0.3


class Tones(msgspec.Struct, frozen=True):
    """Mono 16-bit samples, and when each character of the text begins and ends."""

    samples: NDArray[np.int16]
    starts_s: list[float]
    ends_s: list[float]

    @property
    def wav(self) -> bytes:
        """As a WAV file."""
        held = io.BytesIO()
        with wave.open(held, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            file.writeframes(self.samples.astype("<i2").tobytes())
        return held.getvalue()


def spoken(text: str, *, speed: float = 1.0) -> Tones:
    """What this text sounds like here."""
    starts: list[float] = []
    ends: list[float] = []
    now_s = _EDGE_S
    for sign in text:
        starts.append(now_s)
        now_s += (_BLANK_S if sign.isspace() else _STOP_S if sign in ".!?" else _LETTER_S) / speed
        ends.append(now_s)
    sound = np.zeros(round((now_s + _EDGE_S) * SAMPLE_RATE_HZ), np.float32)
    place = 0
    for word in text.split():
        place = text.index(word, place)
        letters = len(word.rstrip(".!?")) or len(word)
        begin, end = round(starts[place] * SAMPLE_RATE_HZ), round(ends[place + letters - 1] * SAMPLE_RATE_HZ)
        pitch_hz = 150 + zlib.crc32(word.encode()) % 250
        time_s = np.arange(end - begin, dtype=np.float32) / SAMPLE_RATE_HZ
        fade = np.minimum(1, np.minimum(time_s, time_s[::-1]) / 0.01)
        sound[begin:end] = _LOUDNESS * fade * np.sin(2 * np.pi * pitch_hz * time_s)
        place += len(word)
    return Tones((sound * 32767).astype(np.int16), starts, ends)
