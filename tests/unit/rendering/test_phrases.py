from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rendering.planning.phrases import phrases
from actors.rendering.planning.unspaced import columns, cut, joined
from actors.rendering.planning.weak_words import is_weak
from schema.documents import Word


def said(text: str, *, pause_after: str = "") -> list[Word]:
    """Words of 0.3 s each, 0.05 s apart, with a second of silence after one of them."""
    words, at = [], 0.0
    for word in text.split():
        words.append(Word(word, at, at + 0.3))
        at += 1.3 if word == pause_after else 0.35
    return words


def lines(words: list[Word], max_words: int = 7, max_chars: int = 38, language: str = "en") -> list[str]:
    made = phrases(words, max_words, max_chars, language)
    return [joined([word.text for word in phrase]) for phrase in made]


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
    assert max(lengths) - min(lengths) <= 12


@pytest.mark.parametrize("max_words", [3, 4, 7])
def test_no_phrase_ends_on_a_word_that_leans_on_the_next(max_words: int) -> None:
    text = "In the deep of the sea lives an animal with a brain in each of its arms and the patience of a hunter"
    for line in lines(said(text), max_words)[:-1]:
        assert not is_weak(line.split()[-1], "en"), line


def test_a_hesitation_after_such_a_word_is_no_end_but_a_long_silence_is() -> None:
    words = said("it is the octopus", pause_after="the")
    short = [*words[:3], *(Word(word.text, word.start_s - 0.6, word.end_s - 0.6) for word in words[3:])]
    assert lines(short) == ["it is the octopus"]
    assert lines(words) == ["it is the", "octopus"]


def test_weak_words_are_those_of_the_language() -> None:
    assert is_weak("“der", "de-AT")
    assert not is_weak("der", "en")
    assert not is_weak("on,", "en")
    assert not is_weak("the", "fi")


def test_what_is_written_without_blanks_is_cut_where_it_may_break_and_shown_without_blanks() -> None:
    text = "タコには三つの心臓があり、そのうちの二つは休んでいます。"
    made = phrases([Word(text, 1.0, 5.0)], 4, 20, "ja")
    shown = [joined([word.text for word in phrase]) for phrase in made]
    assert "".join(shown) == text
    assert shown[0] == "タコには三つの"
    assert all(columns(line) <= 20 for line in shown)
    words = [word for phrase in made for word in phrase]
    assert (words[0].start_s, words[-1].end_s) == (1.0, 5.0)
    assert all(one.end_s == other.start_s for one, other in itertools.pairwise(words))


def test_words_of_an_aligner_are_joined_without_blanks_and_names_keep_theirs() -> None:
    assert joined(["章鱼", "有", "三", "颗", "心脏。"]) == "章鱼有三颗心脏。"
    assert joined(["หมึก", "มี", "หัวใจ"]) == "หมึกมีหัวใจ"
    assert joined(["문어는", "심장이", "세", "개"]) == "문어는 심장이 세 개"
    assert joined(["Open", "AI", "は"]) == "Open AIは"
    assert cut("「三つの心臓」です。", "ja")[0].startswith("「三")


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
