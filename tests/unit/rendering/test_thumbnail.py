from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from actors.rendering import styles
from actors.rendering.drawing import fonts
from actors.rendering.drawing.contrast import ENOUGH, ratio
from actors.rendering.drawing.thumbnail import _few, most_striking, thumbnail
from actors.rendering.nv12 import Pixels
from actors.rendering.planning.plan import Card, Plan
from actors.rendering.styles import Style
from schema.documents import Aspect
from tests.unit.rendering.orders import picture


def drawn(picture_: Path, aspect: Aspect, style: Style, title: str = "Why octopuses have three hearts") -> Pixels:
    width, height = (640, 360) if aspect == "16:9" else (360, 640)
    cards = (Card("title", title, 0, 60),) if title else ()
    film = Plan(width, height, 30, 90, 0.6, 2.0, (), (), cards, ())
    return thumbnail(film, picture_, style, fonts.choose("a"))


def plain(path: Path, colour: tuple[int, int, int]) -> Path:
    Image.new("RGB", (640, 360), colour).save(path)
    return path


@pytest.mark.parametrize("aspect", get_args(Aspect))
def test_words_stand_out_from_a_white_picture_and_keep_off_the_corner_of_the_length(
    tmp_path: Path, aspect: Aspect
) -> None:
    style, white = styles.named("default", aspect), plain(tmp_path / "white.png", (255, 255, 255))
    bare, lettered = (drawn(white, aspect, style, title) for title in ("", "Why octopuses have three hearts"))
    assert lettered.shape == bare.shape == ((720, 1280, 3) if aspect == "16:9" else (1280, 720, 3))
    lit = (np.abs(lettered.astype(int) - style.accent).max(axis=2) < 3).nonzero()
    assert len(lit[0]) > 2000
    assert lit[0].max() < 0.9 * bare.shape[0]
    # Between the letters of the last line there is nothing that is as bright as the picture was.
    part = lettered[lit[0].min() : lit[0].max(), lit[1].min() : lit[1].max()]
    darkest = part[part.astype(int).sum(axis=2) < 330]
    assert len(darkest) > 0.2 * part[..., 0].size
    red, green, blue = (int(level) for level in np.percentile(darkest, 95, axis=0))
    assert ratio(style.accent, (red, green, blue)) >= ENOUGH


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "bold" else pytest.mark.slow)
        for name in sorted({*styles.names()} - {"default"})
    ],
)
def test_every_style_has_a_thumbnail_of_its_own(tmp_path: Path, name: str) -> None:
    colourful = Path(picture(tmp_path / "a.png", 1))
    own = drawn(colourful, "16:9", styles.named(name, "16:9"))
    assert (own != drawn(colourful, "16:9", styles.named("default", "16:9"))).mean() > 0.05


def test_the_most_striking_picture_is_the_colourful_one(tmp_path: Path) -> None:
    dull = [str(plain(tmp_path / f"{level}.png", (level,) * 3)) for level in (20, 128, 240)]
    colourful = picture(tmp_path / "colourful.png", 3)
    assert most_striking([*dull[:2], colourful, dull[2]]) == colourful


def test_words_stand_beside_what_there_is_to_see(tmp_path: Path) -> None:
    for left in (True, False):
        path = tmp_path / f"{left}.png"
        image = Image.new("RGB", (1280, 720), (40, 60, 80))
        image.paste((255, 120, 0), (120, 160, 480, 520) if left else (800, 160, 1160, 520))
        image.save(path)
        shown = drawn(path, "16:9", styles.named("default", "16:9")).astype(int)
        white = (shown.min(axis=2) > 250).nonzero()[1]
        assert bool(white.mean() > shown.shape[1] / 2) is left


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("How glaciers carve mountains: a slow story", "How glaciers carve mountains"),
        ("Sourdough: bread", "Sourdough: bread"),
        (
            "The day the internet almost broke for everyone, everywhere",
            "The day the internet almost broke for everyone…",
        ),
    ],
)
def test_a_thumbnail_says_the_first_part_of_a_long_title(title: str, words: str) -> None:
    assert _few(title) == words
