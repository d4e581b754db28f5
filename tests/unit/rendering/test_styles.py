from __future__ import annotations

import itertools
from typing import get_args

import pytest

from actors.rendering import styles
from actors.rendering.drawing.contrast import ENOUGH, ratio, read_on
from actors.rendering.styles import Colour
from schema.documents import Aspect
from schema.errors import PermanentError

EVERY_LOOK = list(itertools.product(styles.names(), get_args(Aspect)))


def seen(colour: Colour, alpha: float, behind: int) -> Colour:
    """A colour laid over an even grey."""
    red, green, blue = (round(alpha * level + (1 - alpha) * behind) for level in colour)
    return red, green, blue


@pytest.mark.parametrize(("name", "aspect"), EVERY_LOOK)
def test_words_in_boxes_are_read_over_any_picture_lit_or_not(name: str, aspect: Aspect) -> None:
    style = styles.named(name, aspect)
    for ink, behind in itertools.product((style.text, style.accent), (0, 128, 255)):
        assert ratio(ink, seen(style.scrim, style.scrim_alpha, behind)) >= ENOUGH
    assert ratio(style.accent, read_on(style.accent, (style.text, style.scrim))) >= ENOUGH


def test_there_is_a_look_for_every_temper_and_no_two_are_alike() -> None:
    assert {"default", "documentary", "bold", "paper", "night"} <= set(styles.names())
    looks = [styles.named(name, "16:9") for name in styles.names()]
    assert len({(look.accent, look.scrim) for look in looks}) == len(looks)
    assert len({look.title_layout for look in looks}) >= 5


def test_black_on_white_has_the_greatest_contrast() -> None:
    assert ratio((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert ratio((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)


def test_a_style_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(PermanentError) as caught:
        styles.named("nior", "16:9")
    assert "default" in caught.value.hint
    assert "night" in caught.value.hint
