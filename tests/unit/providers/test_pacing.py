import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.providers.audio.pacing import Piece, joined
from schema.documents import Word

RATE_HZ = 8000


def _piece(before_s: float, sound_s: float, after_s: float, *words: str) -> Piece:
    """Make a piece that holds a tone between two silences, its words side by side in the tone."""
    tone = 0.2 * np.sin(np.arange(round(sound_s * RATE_HZ)) * 0.5)
    samples = np.concatenate([np.zeros(round(before_s * RATE_HZ)), tone, np.zeros(round(after_s * RATE_HZ))])
    each = sound_s / len(words)
    times = [(before_s + number * each, before_s + (number + 1) * each) for number in range(len(words))]
    return Piece(samples.astype(np.float32), tuple(Word(word, *time) for word, time in zip(words, times, strict=True)))


def _silences(audio: NDArray[np.float32]) -> list[float]:
    """Measure the silences of a narration, in seconds, to 10 ms."""
    loud = np.abs(audio).reshape(-1, RATE_HZ // 100).max(axis=1) > 0.01
    edges = np.flatnonzero(np.diff(np.concatenate([[True], loud, [True]]).astype(int)))
    return [float(length) / 100 for length in np.diff(edges)[::2]]


def test_pauses_have_the_planned_length_whatever_the_pieces_bring() -> None:
    scenes = [[_piece(0.3, 1.0, 0.9, "a"), _piece(0.0, 1.0, 0.05, "b")], [_piece(0.5, 1.0, 0.5, "c")]]
    audio, spoken = joined(scenes, RATE_HZ)
    assert _silences(audio) == pytest.approx([0.2, 0.42, 0.68, 0.2], abs=0.021)
    assert spoken[0].start_s == 0
    assert spoken[0].end_s == spoken[1].start_s
    assert spoken[1].end_s == pytest.approx(len(audio) / RATE_HZ)


def test_the_peak_is_three_decibels_below_full_scale() -> None:
    audio, _ = joined([[_piece(0.3, 1.0, 0.3, "a")]], RATE_HZ)
    assert 20 * np.log10(np.abs(audio).max()) == pytest.approx(-3, abs=0.01)


def test_words_follow_each_other_and_stay_in_their_scene() -> None:
    crowded = Piece(
        _piece(0.0, 1.0, 0.3, "x").samples, (Word("a", 0.0, 0.5), Word("b", 0.01, 0.02), Word("c", 0.02, 0.9))
    )
    _, (first, second) = joined([[crowded], [_piece(0.3, 1.0, 0.3, "d", "e")]], RATE_HZ)
    words = [*first.words, *second.words]
    assert all(word.start_s < word.end_s for word in words)
    assert all(one.end_s <= other.start_s for one, other in itertools.pairwise(words))
    assert all(first.start_s <= word.start_s and word.end_s <= first.end_s for word in first.words)


def test_words_stay_on_their_sound_when_silence_is_cut() -> None:
    _, (scene,) = joined([[_piece(2.0, 1.0, 2.0, "late")]], RATE_HZ)
    assert scene.words[0].start_s == pytest.approx(0.2, abs=0.011)
