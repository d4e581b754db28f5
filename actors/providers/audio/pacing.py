"""Puts spoken pieces together: pauses of a planned length, one level, and the words on one time line.

A piece comes with more silence around it than a narrator leaves. It is cut where its sound ends, a pause of the voice's
own room tone stays, and words keep their place. No word starts before the one ahead of it has ended.
"""

from __future__ import annotations

import wave
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from actors.providers.ports import Spoken
from schema.documents import SpokenScene, Word

#: Silence between two sentences, and between two scenes.
_SENTENCE_PAUSE_S = 0.42
_SCENE_PAUSE_S = 0.68
#: Before the first word and after the last one.
_EDGE_S = 0.2
_SHORTEST_WORD_S = 0.03
_PEAK_DBFS = -3.0
#: Sound is where the level of 10 ms is above this share of the loudest (-46 dB): lower than any final "f" or "s".
_SOUND_LEVEL = 0.005
_FADE_S = 0.02


class Piece(msgspec.Struct, frozen=True):
    """What was said in one breath: samples from -1 to 1, and its words in seconds from its first sample."""

    samples: NDArray[np.float32]
    words: tuple[Word, ...]


def joined(scenes: list[list[Piece]], sample_rate_hz: int) -> tuple[NDArray[np.float32], tuple[SpokenScene, ...]]:
    """Join pieces into one narration.

    Args:
        scenes: for each scene its pieces; each has at least one piece, each piece at least one word and some sound.
        sample_rate_hz: of the pieces and of the result.

    Returns:
        The samples, their peak at -3 dBFS, and the scenes, which follow each other without a gap from 0 to the end.
    """
    parts, spoken = [], []
    now = begin_s = 0.0
    for scene_number, pieces in enumerate(scenes):
        words: list[Word] = []
        for number, piece in enumerate(pieces):
            before = (_EDGE_S if scene_number == 0 else _SCENE_PAUSE_S / 2) if number == 0 else _SENTENCE_PAUSE_S / 2
            last = number == len(pieces) - 1
            after = (
                (_EDGE_S if scene_number == len(scenes) - 1 else _SCENE_PAUSE_S / 2) if last else _SENTENCE_PAUSE_S / 2
            )
            samples, cut_s = _framed(piece.samples, before, after, sample_rate_hz)
            words += _placed(piece.words, now - cut_s)
            parts.append(samples)
            now += len(samples) / sample_rate_hz
        spoken.append(SpokenScene(start_s=begin_s, end_s=now, words=_apart(words, begin_s)))
        begin_s = now
    audio = np.concatenate(parts)
    peak = max(float(np.abs(audio).max()), 1e-9)
    return (audio * (10 ** (_PEAK_DBFS / 20) / peak)).astype(np.float32), tuple(spoken)


def narrated(scenes: list[list[Piece]], sample_rate_hz: int, out_wav: Path) -> Spoken:
    """Join pieces and leave them as a 16-bit mono WAV."""
    audio, spoken = joined(scenes, sample_rate_hz)
    with wave.open(str(out_wav), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes(np.round(audio * 32767.0).astype("<i2").tobytes())
    return Spoken(sample_rate_hz=sample_rate_hz, duration_s=len(audio) / sample_rate_hz, scenes=spoken)


def _framed(
    samples: NDArray[np.float32], before_s: float, after_s: float, sample_rate_hz: int
) -> tuple[NDArray[np.float32], float]:
    """Leave the given silence around the sound; also say how many seconds went away in front (negative: were added)."""
    begin, end = _sound(samples, sample_rate_hz)
    begin -= round(before_s * sample_rate_hz)
    end += round(after_s * sample_rate_hz)
    kept = samples[max(begin, 0) : min(end, len(samples))].copy()
    fade = np.linspace(0.0, 1.0, min(round(_FADE_S * sample_rate_hz), len(kept) // 2), dtype=np.float32)
    kept[: len(fade)] *= fade
    kept[len(kept) - len(fade) :] *= fade[::-1]
    return np.pad(kept, (max(-begin, 0), max(end - len(samples), 0))), begin / sample_rate_hz


def _sound(samples: NDArray[np.float32], sample_rate_hz: int) -> tuple[int, int]:
    """Find the first and the last sample of sound, to 10 ms."""
    block = sample_rate_hz // 100
    levels = np.sqrt((samples[: len(samples) // block * block].reshape(-1, block) ** 2).mean(axis=1))
    loud = np.flatnonzero(levels > _SOUND_LEVEL * np.abs(samples).max())
    if not len(loud):
        return 0, len(samples)
    return int(loud[0]) * block, (int(loud[-1]) + 1) * block


def _placed(words: tuple[Word, ...], offset_s: float) -> list[Word]:
    return [Word(word.text, word.start_s + offset_s, word.end_s + offset_s) for word in words]


def _apart(words: list[Word], earliest_s: float) -> tuple[Word, ...]:
    """Keep words in order and free of overlaps, none before `earliest_s`, none shorter than a frame."""
    starts: list[float] = []
    for word in words:
        starts.append(max(word.start_s, starts[-1] + _SHORTEST_WORD_S if starts else earliest_s))
    limits = [*starts[1:], float("inf")]
    return tuple(
        Word(word.text, start, min(max(word.end_s, start + _SHORTEST_WORD_S), limit))
        for word, start, limit in zip(words, starts, limits, strict=True)
    )
