from __future__ import annotations

import string

import pytest

from actors.rendering.drawing import fonts
from actors.rendering.drawing.lettering import fitted
from schema.errors import PermanentError

SAID = {
    "Latin": "“Łódź” \u2013 naïve café… Tiếng Việt " + string.printable,
    "Cyrillic": "Москва, Київ",
    "Greek": "Ελλάδα",
    "Arabic": "للأخطبوط ثلاثة قلوب، 12٪",
    "Hebrew": "לתמנון שלושה לבבות",
    "Devanagari": "ऑक्टोपस के तीन दिल",
    "Thai": "หมึกยักษ์มีหัวใจ",
    "Tamil": "மூன்று இதயங்கள்",
    "Georgian": "სამი გული",
    "Japanese": "タコには三つの心臓が「あり」、",
    "Chinese": "章鱼有三颗心脏。章魚有三顆心臟。",
    "Korean": "문어는 심장이 세 개",
    "emoji": "😀 👨\u200d👩\u200d👧 🇩🇪 ❤\ufe0f 👍🏽 1\ufe0f\u20e3 \U0001f3f4\U000e0067\U000e0062\U000e007f",
    "signs": "→ ★ € ₹ ° ½ ≤",
}


@pytest.mark.parametrize("family", fonts.FAMILIES)
def test_every_script_can_be_drawn_in_every_family(family: str) -> None:
    for text in SAID.values():
        fonts.choose(text, family)


@pytest.mark.parametrize("script", SAID)
def test_no_character_becomes_a_box(script: str) -> None:
    text = fonts.drawable(SAID[script])
    line = fonts.choose(text).face(40, fonts.BOLD).line([text])
    # Glyph 0 is the box that stands for what a font lacks.
    assert all(glyph.number for word in line.words for glyph in word)
    assert line.width > 0


def test_a_character_that_no_font_has_is_named() -> None:
    with pytest.raises(PermanentError, match=r"'𒀀' \(U\+12000 CUNEIFORM SIGN A\)"):
        fonts.choose("an octopus, 𒀀")


def test_several_missing_characters_are_counted() -> None:
    with pytest.raises(PermanentError, match="and 2 more"):
        fonts.choose("𒀀𒀁𒀂𒀃𒀄")


def test_a_family_that_does_not_exist_is_refused_with_those_there_are() -> None:
    with pytest.raises(PermanentError, match="no font 'comic'") as refused:
        fonts.choose("a", "comic")
    assert "montserrat" in refused.value.hint


def test_a_word_is_drawn_by_one_font_and_the_styles_own_before_all_others() -> None:
    font = fonts.choose("GPT Ελλάδα Жяш", "anton")
    first, last = font.pick("GPT Ελλάδα"), font.pick("abcЖяш")
    own = font.pick("a")[0]
    assert set(first[:3]) == {own}
    assert len(set(first[4:])) == 1
    assert first[4] is not own
    assert len(set(last)) == 1  # one font has both, so the word is not patched together


def test_han_characters_follow_the_language() -> None:
    by_language = {fonts.choose("直", language=tag).pick("直")[0] for tag in ("ja", "zh-CN", "zh-TW", "ko")}
    assert len(by_language) == 4
    assert fonts.choose("直", language="ja").pick("直") == fonts.choose("直は").pick("直")


def test_a_mark_that_no_font_has_and_stray_joiners_do_no_harm() -> None:
    text = fonts.drawable("a\U0001da00 b\u200d \u200d \u202eright\u202c x\ufe0f")
    line = fonts.choose(text).face(40, fonts.BOLD).line(text.split())
    assert all(glyph.number for word in line.words for glyph in word)
    assert "\u202e" not in text


def test_a_letter_and_its_accent_count_as_one_character() -> None:
    assert fonts.drawable("cafe\u0301\n au  lait") == "café au lait"
    fonts.choose("cafe\u0301")


def test_text_that_is_too_long_gets_smaller_and_then_an_ellipsis() -> None:
    font = fonts.choose("a")
    small, lines = fitted("word " * 12, font, weight=fonts.BOLD, size_px=100, width_px=1000, most_lines=3)
    assert 45 <= small.size < 100
    assert len(lines) <= 3
    _, lines = fitted("word " * 200, font, weight=fonts.BOLD, size_px=100, width_px=1000, most_lines=3)
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    face, lines = fitted("w" * 300, font, weight=fonts.BOLD, size_px=100, width_px=1000, most_lines=1)
    assert face.getlength(lines[0]) <= 1000
