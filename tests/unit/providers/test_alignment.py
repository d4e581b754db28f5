"""Words and their times: from characters, from starts, from listening, and from lengths alone."""

from __future__ import annotations

import itertools
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.providers.audio import alignment
from actors.providers.audio.hibari import Voice
from actors.providers.audio.sounds import phones_of, spoken_words
from schema.documents import Scene, Script, Word


def test_characters_become_the_words_that_a_caption_shows() -> None:
    text = "Hi,  you & \u201cme\u201d - ok?"
    starts = [float(place) for place in range(len(text))]
    words = alignment.from_characters(text, list(text), starts, [start + 1 for start in starts], len(text))
    assert words == (
        Word("Hi,", 0, 3),
        Word("you", 5, 8),
        Word("&", 9, 10),
        Word("\u201cme\u201d -", 11, 17),
        Word("ok?", 18, 21),
    )


@pytest.mark.parametrize(
    "characters", [list("Hello"), list("Hallo you"), ["Hello", " ", "y", "o", "u"], [], list("Hello you!")]
)
def test_characters_of_another_text_are_not_believed(characters: list[str]) -> None:
    times = [0.0] * len(characters)
    assert alignment.from_characters("Hello you", characters, times, times, 1.0) is None


def test_as_many_times_as_characters_are_wanted() -> None:
    assert alignment.from_characters("Hi", ["H", "i"], [0.0], [0.0, 1.0], 1.0) is None


def test_starts_become_words_that_end_before_the_next_and_do_not_last_through_a_pause() -> None:
    words = alignment.from_starts("One two. Three", [0.1, 0.5, 5.0], 9.0)
    assert words is not None
    assert [(word.text, word.start_s) for word in words] == [("One", 0.1), ("two.", 0.5), ("Three", 5.0)]
    assert [word.end_s for word in words] == pytest.approx([0.5, 1.33, 5.95])
    assert alignment.from_starts("One two", [0.1], 9.0) is None


@given(st.lists(st.tuples(st.floats(-5, 50), st.floats(-5, 50)), min_size=1, max_size=40), st.floats(0.5, 40))
def test_whatever_the_times_no_word_overlaps_the_next_or_leaves_the_sound(
    times: list[tuple[float, float]], duration_s: float
) -> None:
    words = alignment.apart([Word("w", start, end) for start, end in times], duration_s)
    assert len(words) == len(times)
    assert words[0].start_s >= 0
    assert words[-1].end_s <= duration_s + 1e-6
    assert all(word.start_s <= word.end_s for word in words)
    assert all(one.end_s <= other.start_s + 1e-9 for one, other in itertools.pairwise(words))


def test_the_aligner_hears_words_where_the_voice_says_they_are(tmp_path: Path) -> None:
    text = "In 1969 Buzz Aldrin walked on the moon for about 2.5 hours & took 20 kilograms of Zyxquor home."
    spoken = Voice(None).speak(Script("t", (Scene(text),)), tmp_path / "v.wav", checkpoint=lambda: None)
    with wave.open(str(tmp_path / "v.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    heard, timing = alignment.by_listening(text, samples, spoken.sample_rate_hz, "en-US")
    assert timing == "aligned"
    assert [word.text for word in heard] == [word.text for word in spoken.scenes[0].words]
    late = [abs(one.start_s - other.start_s) for one, other in zip(heard, spoken.scenes[0].words, strict=True)]
    assert np.median(late) < 0.06
    assert max(late) < 0.4


@pytest.mark.parametrize(
    ("text", "language"), [("Drei Herzen schlagen.", "de"), ("\u732b \u732b", "en"), ("Hi there.", "en")]
)
def test_where_nothing_can_be_heard_the_lengths_decide(text: str, language: str) -> None:
    samples = np.zeros(48_000, np.int16)
    samples[12_000:36_000:7] = 9000
    words, timing = alignment.by_listening(text, samples, 24_000, language)
    assert timing == "estimated" or text == "Hi there."
    assert " ".join(word.text for word in words) == text
    if timing == "estimated":
        assert 0.45 < words[0].start_s < 0.55
        assert 1.4 < words[-1].end_s < 1.55


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("1969,", "nineteen sixty nine"),
        ("1900", "nineteen hundred"),
        ("2,500", "two thousand five hundred"),
        ("3.14", "three point one four"),
        ("$20", "dollars twenty"),
        ("caf\u00e9", "cafe"),
        ("well-known", "well known"),
        ("it\u2019s", "it's"),
        ("1234567890123", "one two three four five six seven eight nine zero one two three"),
        ("\u2014", ""),
    ],
)
def test_what_is_said_for_a_word(word: str, said: str) -> None:
    assert " ".join(spoken_words(word)) == said


@given(st.text("abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=30))
def test_every_word_has_phones(word: str) -> None:
    assert all(phone.isalpha() for phone in phones_of(word))
    assert phones_of(word)
