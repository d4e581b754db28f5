from __future__ import annotations

import itertools
from typing import get_args

import cv2
import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from actors.rendering import styles
from actors.rendering.drawing import fonts
from actors.rendering.drawing.cards import _COMING_S, Cards
from actors.rendering.drawing.contrast import ENOUGH, luminance
from actors.rendering.drawing.patches import ground, merged
from actors.rendering.drawing.sheet import MOST_PARTS, Faces, captions_top
from actors.rendering.nv12 import Patch
from actors.rendering.planning.plan import Card, Plan
from actors.rendering.styles import Style
from schema.documents import Aspect

LONG = "An extraordinarily long title of many words " * 7
SHOWN = (
    Card("title", "Why octopuses have three hearts", 0, 60),
    Card("chapter", "Two hearts for the gills", 60, 120),
    Card("credit", "Photo by Ada Lovelace on Pexels", 60, 120),
    Card("outro", "Why octopuses have three hearts\nPhotos by Ada Lovelace and Bo Diddley on Pexels", 120, 180),
)
#: Every day one of each kind of ground; all in the full run.
_DAILY = {("default", "9:16"), ("documentary", "16:9"), ("paper", "16:9")}
EVERY_LOOK = [
    pytest.param(*look, marks=() if look in _DAILY else pytest.mark.slow)
    for look in itertools.product(styles.names(), get_args(Aspect))
]


def planned(aspect: Aspect, *cards: Card, short: int = 540) -> Plan:
    size = (short * 16 // 9, short) if aspect == "16:9" else (short, short * 16 // 9)
    return Plan(*size, 30, 180, 0.6, 4.0, (), (), cards or SHOWN, ())


def drawn(plan: Plan, style: Style) -> Cards:
    font = fonts.choose("a")
    return Cards(plan, style, Faces(display=font, text=font))


def settled(card: Card, aspect: Aspect, style: Style) -> list[Patch]:
    """The card alone, when everything has arrived."""
    plan = planned(aspect, replace(card, first=0, end=60))
    return [patch for patch, _ in drawn(plan, style).at(30)]


def on_grey(patches: list[Patch], aspect: Aspect, level: int) -> NDArray[np.float32]:
    """What the patches make of an even grey, as the viewer's RGB."""
    plan = planned(aspect)
    y = np.full((plan.height, plan.width), 16 + level * 219 / 255, np.float32)
    uv = np.full((plan.height // 2, plan.width // 2, 2), 128.0, np.float32)
    for patch in patches:
        for shift, plane, colour, through in zip(
            (0, 1), (y, uv), patch.colour.planes(), patch.through.planes(), strict=True
        ):
            rows, columns = colour.shape[:2]
            under = plane[patch.top >> shift :, patch.left >> shift :][:rows, :columns]
            under *= through / np.float32(255)
            under += colour
    light = (y - 16) * 255 / 219
    blue, red = (cv2.resize(uv[..., at], (plan.width, plan.height)) - 128 for at in (0, 1))
    red, blue = light + red * 255 / 224 * 1.5748, light + blue * 255 / 224 * 1.8556
    green = (light - 0.2126 * red - 0.0722 * blue) / 0.7152
    return np.clip(np.dstack([red, green, blue]), 0, 255)


def luminances(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Relative luminance, as in contrast.py, of many colours."""
    level = colours / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.asarray((0.2126, 0.7152, 0.0722), np.float32))


def letters(card: Card, aspect: Aspect, style: Style) -> NDArray[np.uint8]:
    """Where the style's text colour is, found by changing it a little."""
    other = replace(style, text=tuple(level - 40 if level > 127 else level + 40 for level in style.text))
    seen = [on_grey(settled(card, aspect, look), aspect, 128).mean(axis=2) for look in (style, other)]
    return np.asarray(np.abs(seen[0] - seen[1]) > 3, np.uint8)


@pytest.mark.parametrize(("name", "aspect"), EVERY_LOOK)
def test_text_on_cards_is_read_over_any_picture_and_keeps_to_the_safe_area(name: str, aspect: Aspect) -> None:
    style, plan = styles.named(name, aspect), planned(aspect)
    for card in SHOWN:
        mask = letters(card, aspect, style)
        if not mask.any():  # a heading on a block of the accent: held to its contrast in test_styles.py
            assert (card.kind, style.chapter_layout) == ("chapter", "block")
            continue
        down, across = np.nonzero(mask)
        assert down.max() < captions_top(plan, style)
        assert down.min() >= 0.05 * plan.height
        assert across.min() >= 0.05 * plan.width
        assert across.max() <= (0.95 if aspect == "16:9" else 0.88) * plan.width
        # Around letters, beyond their own soft edges.
        around = (cv2.dilate(mask, np.ones((5, 5))) - cv2.dilate(mask, np.ones((3, 3)))).astype(bool)
        for level in (0, 255):
            under = on_grey(settled(card, aspect, style), aspect, level)[around]
            greys = luminances(under)
            own = luminance(style.text)
            worst = ((np.maximum(greys, own) + 0.05) / (np.minimum(greys, own) + 0.05)).min()
            assert worst >= ENOUGH, f"{card.kind} over {level}: {worst:.2f}"


@pytest.mark.parametrize(("name", "aspect"), EVERY_LOOK)
def test_the_longest_title_leaves_the_captions_alone(name: str, aspect: Aspect) -> None:
    style = styles.named(name, aspect)
    down, _ = np.nonzero(letters(Card("title", LONG, 0, 60), aspect, style))
    assert 0.05 * planned(aspect).height < down.min() < down.max() < captions_top(planned(aspect), style)


@pytest.mark.parametrize("name", styles.names())
def test_cards_in_motion_leave_room_for_the_captions_in_what_a_frame_takes(name: str) -> None:
    plan = planned("9:16", *(replace(SHOWN[0], text=LONG), *SHOWN[1:]), short=360)
    cards = drawn(plan, styles.named(name, "9:16"))
    for frame in range(plan.frames):
        laid = cards.at(frame)
        assert 0 < len(laid) <= MOST_PARTS or frame == 0
        for patch, opacity in laid:
            rows, columns = patch.colour.y.shape
            assert patch.left % 2 == patch.top % 2 == rows % 2 == columns % 2 == 0
            assert 0 <= patch.left <= plan.width - columns
            assert 0 <= patch.top <= plan.height - rows
            assert 0 <= opacity <= 1


def test_a_card_comes_and_goes_gently_and_the_end_stays() -> None:
    cards = drawn(planned("16:9", short=360), styles.named("default", "16:9"))
    shown = [max((opacity for _, opacity in cards.at(frame)), default=0.0) for frame in range(180)]
    assert shown[0] < 0.2
    assert shown[30] == 1.0
    assert shown[59] < 0.2
    assert shown[-1] == 1.0


def test_nothing_jumps_when_the_parts_of_a_card_become_one() -> None:
    plan, style = planned("16:9", short=540), styles.named("default", "16:9")
    cards = drawn(plan, style)
    last = next(frame for frame in range(60) if len(cards.at(frame + 1)) == 1)
    assert last / plan.fps > _COMING_S / 2
    moving, still = ([patch for patch, _ in cards.at(frame)] for frame in (last, last + 1))
    assert len(moving) > 1
    difference = on_grey(moving, "16:9", 200) - on_grey(still, "16:9", 200)
    assert np.abs(difference).mean() < 0.5


def test_a_ground_rises_without_steps_wider_than_its_noise() -> None:
    slope = np.repeat(np.linspace(0, 0.2, 1000, dtype=np.float32)[None], 64, axis=0)
    covered = 255 - ground(slope, (0, 0, 0)).through.y.astype(np.float32)
    assert np.abs(covered.mean(axis=0) - 255 * slope[0]).max() < 0.3
    assert covered.mean() == pytest.approx(25.5, abs=0.1)


def test_patches_merged_cover_a_picture_as_they_do_one_by_one() -> None:
    dice = np.random.default_rng(2)
    parts = [
        ground(dice.random((40, 60)).astype(np.float32), colour, left, 10)
        for colour, left in (((200, 30, 30), 0), ((20, 90, 220), 30))
    ]
    one, many = on_grey([merged(parts)], "16:9", 90), on_grey(parts, "16:9", 90)
    assert np.abs(one - many).max() < 4
