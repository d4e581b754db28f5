"""Speech whose words begin where we know: each said singly, cut where its sound begins, joined with known silences.

Where a sound begins is a matter of definition: here, where five milliseconds are louder than a hundredth of the
word's loudest (-40 dB), looked at in steps of one. The level matters: at -50 dB words of the local voice begin 10 ms
earlier in the median, at -30 dB 7 ms later (2026-11-25).
"""

from __future__ import annotations

import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from actors.providers.audio.hibari import Voice
from schema.documents import Scene, Script, SpokenScene, Word

Sound = NDArray[np.float32]

#: Every kind of beginning: vowels, stops, fricatives, nasals, glides, clusters.
_TEXT: Final = (
    "about paper second garden island velvet hotel river machine orange table winter after question basket science "
    "evening doctor yellow knowledge story forest camera umbrella light shadow music apple people thunder zebra engine "
    "father children window battle open simple captain number every travel under history kitchen balance money perfect "
    "water answer building copper language feather silver purple dragon"
)
WORDS: Final = tuple(_TEXT.split())
#: Words of one utterance.
_AT_ONCE: Final = 7
_GAPS_S: Final = (0.12, 0.4)
_EDGE_S: Final = 0.3
_LEVEL: Final = 0.01
_WINDOW_S, _STEP_S = 0.005, 0.001
#: The room: aligners were made for rooms, and digital silence confuses them. -70 dB.
_ROOM: Final = 0.0003


class Said(msgspec.Struct, frozen=True):
    """One word by itself."""

    text: str
    #: From where its sound begins.
    sound: Sound
    #: How much later than that the voice says it begins; negative: earlier.
    own_late_s: float


class Utterance(msgspec.Struct, frozen=True):
    """Some words in a row, and where each begins."""

    words: tuple[Said, ...]
    starts_s: tuple[float, ...]
    sound: Sound
    sample_rate_hz: int

    @property
    def text(self) -> str:
        """What is said."""
        return " ".join(word.text for word in self.words)

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return self.sound.size / self.sample_rate_hz

    def by_the_voice(self) -> SpokenScene:
        """The words at the times at which the voice itself says that they begin."""
        begins = [start + word.own_late_s for start, word in zip(self.starts_s, self.words, strict=True)]
        ends = [*begins[1:], self.duration_s]
        words = (
            Word(word.text, begin, min(end, begin + word.sound.size / self.sample_rate_hz))
            for word, begin, end in zip(self.words, begins, ends, strict=True)
        )
        return SpokenScene(0.0, self.duration_s, tuple(words))


def onset_s(sound: Sound, sample_rate_hz: int) -> float:
    """Where a sound begins, as this module defines it."""
    window, step = round(_WINDOW_S * sample_rate_hz), round(_STEP_S * sample_rate_hz)
    power = np.convolve(sound.astype(np.float64) ** 2, np.ones(window) / window, "valid")[::step]
    loud = np.flatnonzero(power > _LEVEL**2 * power.max())
    # The window that is loud first is so by its last part.
    return float(loud[0] * step + window - step) / sample_rate_hz if loud.size and loud[0] else 0.0


def read(path: Path) -> tuple[Sound, int]:
    """A mono WAV of 16 bits, and its rate."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)
        return samples / np.float32(32768), int(file.getframerate())


def singly(voice: Voice, folder: Path, words: Sequence[str] = WORDS) -> tuple[list[Said], int]:
    """Each word said by itself, and the rate."""
    said, rate_hz = [], 0
    for text in words:
        spoken = voice.speak(Script("", (Scene(text),)), folder / "word.wav", checkpoint=lambda: None)
        sound, rate_hz = read(folder / "word.wav")
        begin_s = onset_s(sound, rate_hz)
        said.append(Said(text, sound[round(begin_s * rate_hz) :], spoken.scenes[0].words[0].start_s - begin_s))
    return said, rate_hz


def utterances(said: Sequence[Said], sample_rate_hz: int) -> Iterator[Utterance]:
    """The words in rows, a known silence before each."""
    dice = np.random.default_rng(3)
    for first in range(0, len(said), _AT_ONCE):
        words, parts, starts, at = said[first : first + _AT_ONCE], [], [], 0
        for place, word in enumerate(words):
            gap = round((dice.uniform(*_GAPS_S) if place else _EDGE_S) * sample_rate_hz)
            parts += [np.zeros(gap, np.float32), word.sound]
            starts.append((at + gap) / sample_rate_hz)
            at += gap + word.sound.size
        whole = np.concatenate([*parts, np.zeros(round(_EDGE_S * sample_rate_hz), np.float32)])
        room = dice.normal(0, _ROOM, whole.size).astype(np.float32)
        yield Utterance(tuple(words), tuple(starts), whole + room, sample_rate_hz)
