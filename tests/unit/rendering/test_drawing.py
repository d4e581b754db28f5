from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from actors.rendering import styles
from actors.rendering.drawing import captions as captions_drawing
from actors.rendering.drawing import contrast, fonts
from actors.rendering.drawing.captions import Captions, _Phrase
from actors.rendering.drawing.directions import runs
from actors.rendering.drawing.inking import tone
from actors.rendering.nv12 import _MATRIX, Patch
from actors.rendering.planning.plan import Caption, Plan
from actors.rendering.planning.timeline import plan
from actors.rendering.styles import Style
from schema.documents import Aspect
from tests.unit.rendering.orders import order


def planned(folder: Path, aspect: Aspect, title: str = "A title") -> Plan:
    asked = order(folder, aspect=aspect, title=title)
    return plan(asked, asked.speech.duration_s)


def bottom(patch: Patch) -> int:
    return patch.top + len(patch.colour.y)


@pytest.mark.parametrize(("aspect", "free_below"), [("16:9", 0.10), ("9:16", 0.22)])
def test_captions_stay_inside_the_safe_area(tmp_path: Path, aspect: Aspect, free_below: float) -> None:
    film = planned(tmp_path, aspect)
    captions = Captions(film, styles.named("default", aspect), fonts.choose("a"))
    drawn = [patch for caption in film.captions if (patch := captions.at(caption.first))]
    assert len(drawn) == len(film.captions)
    for patch in drawn:
        assert bottom(patch) <= (1 - free_below) * film.height + 1
        assert patch.left >= 0.05 * film.width
        assert patch.left + patch.colour.y.shape[1] <= 0.95 * film.width


def captioned(words: str, size: tuple[int, int] = (1280, 720)) -> Plan:
    """A film that is one caption, a word every ten frames."""
    said = tuple(words.split())
    starts = tuple(range(0, 10 * len(said), 10))
    caption = Caption(said, starts, 0, 10 * len(said))
    return Plan(
        *size, fps=30, frames=300, voice_start_s=0, voice_s=9, shots=(), captions=(caption,), cards=(), silences=()
    )


def style_of(aspect: Aspect = "16:9", **changed: Any) -> Style:  # noqa: ANN401 - any field of it
    return msgspec.structs.replace(styles.named("default", aspect), **changed)


def columns_that_differ(one: Patch, other: Patch) -> NDArray[np.intp]:
    return np.flatnonzero((one.colour.y != other.colour.y).any(axis=0))


def test_nothing_shifts_while_the_light_moves_from_word_to_word() -> None:
    captions = Captions(captioned("three hearts beat"), style_of(), fonts.choose("a"))
    settled = [captions.at(frame) for frame in (9, 19, 29)]
    first, second, third = (state for state in settled if state)
    assert (first.left, first.top) == (second.left, second.top) == (third.left, third.top)
    # From the first word lit to the second, the third does not change; the shape of the text never does.
    changed = columns_that_differ(first, second)
    assert 0 < changed.max() < columns_that_differ(second, third).max()
    for state in (second, third):
        np.testing.assert_allclose(first.through.y.astype(int), state.through.y, atol=1)


@pytest.mark.parametrize("look", ["box", "outline"])
def test_the_spoken_word_pops_and_settles_and_its_neighbours_stay(look: str) -> None:
    style = style_of(caption_pop=1.12, caption_look=look)
    captions = Captions(captioned("one beat two"), style, fonts.choose("a"))
    frames = [patch for frame in range(10, 20) if (patch := captions.at(frame))]
    widths = [len(columns_that_differ(frame, frames[-1])) for frame in frames]
    assert widths[0] >= widths[1] >= widths[2] >= widths[3] > 0
    assert all(frame is frames[4] for frame in frames[4:])  # drawn once
    calm = Captions(captioned("one beat two"), style_of(caption_look=look, caption_pop=1.0), fonts.choose("a")).at(15)
    assert calm
    np.testing.assert_array_equal(calm.colour.y, frames[-1].colour.y)
    # What moved lies around the middle word; the others are as they were.
    moved = columns_that_differ(frames[0], frames[-1])
    assert moved.min() > 0.25 * calm.colour.y.shape[1]
    assert moved.max() < 0.75 * calm.colour.y.shape[1]


def test_a_word_that_pops_into_its_neighbours_leaves_their_letters_whole() -> None:
    text = "心臓 が三つ あり"
    phrase = _Phrase(text.split(), captioned(text), style_of(), fonts.choose(text))
    settled, popped = phrase.drawn(1, 1.0), phrase.drawn(1, 1.3)
    for ink in (phrase._inks[0], phrase._inks[2]):
        assert ink
        letters = np.zeros(settled.colour.y.shape, bool)
        letters[ink.top : ink.top + len(ink.mask), ink.left : ink.left + ink.mask.shape[1]] = ink.mask == 255
        assert letters.any()
        assert not popped.through.y[letters].any()


def test_words_from_the_right_are_lit_in_the_order_spoken() -> None:
    text = "قلوب ثلاثة Google للأخطبوط"
    captions = Captions(captioned(text), style_of(), fonts.choose(text))
    states = [patch for frame in (9, 19, 29, 39) if (patch := captions.at(frame))]
    # Two words change from state to state: each pair lies further to the left than the one before.
    middles = [columns_that_differ(one, other).mean() for one, other in itertools.pairwise(states)]
    assert middles == sorted(middles, reverse=True)


def test_a_line_begins_where_the_film_is_read_from_whatever_its_first_word() -> None:
    words = ("Google", "قلوب")
    for film, first in (("قلوب ثلاثة للأخطبوط Google", 1), ("the Google of hearts قلوب", 0)):
        line = fonts.choose(film).face(40, fonts.BOLD).line(words, [" "])
        starts = [min(glyph.x for glyph in word) for word in line.words]
        assert starts[first] < starts[1 - first]


@pytest.mark.parametrize(
    ("spoken", "seen"),
    [
        ("אבג abc דהו", "והד abc גבא"),
        ("אבג 123 abc (דה)", "(הד) abc 123 גבא"),
        ("אב, 5%-7% גד", "דג 7%-5% ,בא"),
        ("ab אב 12, 3.5 ג", None),
    ],
)
def test_mixed_lines_are_seen_as_unicode_orders_them(spoken: str, seen: str | None) -> None:
    seen_at_left = "".join(
        spoken[run.first : run.end] if not run.from_right else _mirrored(spoken[run.first : run.end])
        for run in runs(spoken, from_right=seen is not None)
    )
    assert seen_at_left == (seen or "ab ג 3.5 ,12 בא")


def _mirrored(text: str) -> str:
    return text[::-1].translate({ord("("): ")", ord(")"): "("})


def test_a_word_longer_than_the_frame_is_made_smaller_and_stays_inside() -> None:
    film = captioned("w" * 80, (720, 1280))
    patch = Captions(film, style_of("9:16"), fonts.choose("w")).at(0)
    assert patch
    assert patch.left >= 0.05 * film.width
    assert patch.left + patch.colour.y.shape[1] <= 0.95 * film.width


def test_capitals_are_those_of_the_language() -> None:
    style = style_of(caption_capitals=True)
    assert captions_drawing.shown("straße", style, "de") == "STRASSE"
    assert captions_drawing.shown("iki", style, "tr") == "İKİ"


def as_rgb(y: NDArray[np.floating], uv: NDArray[np.floating]) -> NDArray[np.intp]:
    wide = uv.repeat(2, axis=0).repeat(2, axis=1)
    yuv = np.dstack([y, wide]) - _MATRIX[:, 3]
    return np.clip(np.round(yuv @ np.linalg.inv(_MATRIX[:, :3]).T), 0, 255).astype(int)


@pytest.mark.parametrize("look", ["box", "outline"])
@pytest.mark.parametrize("name", styles.names())
def test_captions_can_be_read_over_any_picture(name: str, look: str) -> None:
    """As drawn and blended: the letters against what is right beside them, WCAG 2, at least 4.5 to 1."""
    style = msgspec.structs.replace(styles.named(name, "16:9"), caption_look=look)
    phrase = _Phrase(["Octopus"], captioned("Octopus"), style, fonts.choose("a"))
    ink, bare = phrase._inks[0], phrase._bare
    assert ink
    near = cv2.dilate(ink.mask, np.ones((5, 5), np.uint8)) > 127
    beside = np.zeros(bare.colour.y.shape, bool)
    beside[ink.top : ink.top + len(near), ink.left : ink.left + near.shape[1]] = near & (ink.mask == 0)
    for picture in ((255, 255, 255), (0, 0, 0), style.text, style.accent):
        behind = tone(picture)
        ground = as_rgb(
            bare.colour.y + bare.through.y / 255 * behind.y,
            bare.colour.uv + bare.through.uv / 255 * np.array(behind[1:], float),
        )
        for red, green, blue in np.unique(ground[beside], axis=0).tolist():
            for letters in (style.text, style.accent):
                assert contrast.ratio(letters, (red, green, blue)) >= contrast.ENOUGH, (letters, picture)


@pytest.mark.parametrize("name", styles.names())
def test_the_colours_of_a_style_can_be_read_on_its_box_over_any_picture(name: str) -> None:
    style = styles.named(name, "16:9")
    alpha = 1.0 if style.caption_look == "outline" else captions_drawing.scrim_alpha(style)
    for letters in (style.text, style.accent):
        for picture in ((255, 255, 255), (0, 0, 0), letters):
            assert contrast.ratio(letters, contrast.behind(style.scrim, alpha, picture)) >= contrast.ENOUGH


def test_a_box_that_is_too_thin_is_made_denser() -> None:
    white, dark = (255, 255, 255), (9, 11, 16)
    assert contrast.dense_enough([white], dark, 0.9) == 0.9
    alpha = contrast.dense_enough([white], dark, 0.1)
    assert contrast.ratio(white, contrast.behind(dark, alpha, white)) >= contrast.ENOUGH
    assert contrast.ratio(white, contrast.behind(dark, alpha - 0.05, white)) < contrast.ENOUGH


def test_there_is_no_caption_before_the_first_word(tmp_path: Path) -> None:
    film = planned(tmp_path, "16:9")
    assert Captions(film, styles.named("default", "16:9"), fonts.choose("a")).at(film.captions[0].first - 1) is None
