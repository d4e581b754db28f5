from __future__ import annotations

import string

import pytest

from actors.rendering.drawing import fonts
from actors.rendering.drawing.lettering import fitted
from schema.errors import PermanentError


def test_a_character_that_no_font_has_is_named() -> None:
    with pytest.raises(PermanentError, match=r"'章' \(U\+7AE0 CJK UNIFIED IDEOGRAPH-7AE0\)"):
        fonts.choose("an octopus, 章")


def test_several_missing_characters_are_counted() -> None:
    with pytest.raises(PermanentError, match="and 2 more"):
        fonts.choose("章魚有三心")


def test_letters_of_europe_quotes_and_dashes_are_covered() -> None:
    text = "“Łódź” \u2013 naïve café… Ελλάδα" + string.printable  # Greek is not
    with pytest.raises(PermanentError, match="GREEK"):
        fonts.choose(text)
    assert fonts.choose(text.replace("Ελλάδα", "Москва")).covers


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
