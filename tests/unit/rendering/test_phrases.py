from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.rendering.planning.phrases import phrases
from schema.documents import Word


def said(text: str, *, pause_after: str = "") -> list[Word]:
    """Words of 0.3 s each, 0.05 s apart, with a second of silence after one of them."""
    words, at = [], 0.0
    for word in text.split():
        words.append(Word(word, at, at + 0.3))
        at += 1.3 if word == pause_after else 0.35
    return words


def lines(words: list[Word], max_words: int = 7, max_chars: int = 38) -> list[str]:
    return [" ".join(word.text for word in phrase) for phrase in phrases(words, max_words, max_chars)]


def test_a_sentence_ends_a_phrase() -> None:
    assert lines(said("It is small. It is blue.")) == ["It is small.", "It is blue."]


def test_a_closing_quotation_mark_does_not_hide_the_end_of_a_sentence() -> None:
    assert lines(said("He said “no.” Then he left.")) == ["He said “no.”", "Then he left."]


def test_a_pause_ends_a_phrase() -> None:
    assert lines(said("one two three four", pause_after="two")) == ["one two", "three four"]


def test_a_comma_attracts_the_break() -> None:
    text = "When an octopus swims, that third heart stops beating, which is why it prefers to crawl."
    assert lines(said(text)) == [
        "When an octopus swims,",
        "that third heart stops beating,",
        "which is why it prefers to crawl.",
    ]


def test_lines_of_one_clause_are_about_even() -> None:
    lengths = [len(line) for line in lines(said("a clause without any comma that goes on for quite a while here"))]
    assert len(lengths) == 2
    assert max(lengths) - min(lengths) <= 8


def test_a_word_longer_than_a_line_stands_alone() -> None:
    long = "x" * 60
    assert lines(said(f"see {long} there")) == ["see", long, "there"]


def test_no_words_make_no_phrases() -> None:
    assert lines([]) == []


@given(st.lists(st.text("abcdefgh,.", min_size=1, max_size=15), max_size=40), st.integers(1, 7), st.integers(5, 38))
def test_every_word_is_in_one_phrase_in_order_and_phrases_fit(texts: list[str], max_words: int, max_chars: int) -> None:
    words = said(" ".join(texts))
    made = phrases(words, max_words, max_chars)
    assert [word for phrase in made for word in phrase] == words
    for phrase in made:
        assert len(phrase) <= max_words
        assert len(phrase) == 1 or len(" ".join(word.text for word in phrase)) <= max_chars
