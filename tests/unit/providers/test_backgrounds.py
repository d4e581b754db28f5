import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from actors.providers.media.backgrounds import make
from actors.providers.media.painting import Canvas, finished
from actors.providers.media.palettes import THEMES, theme_for
from actors.providers.media.styles import _IN_TURN, Style, style_for
from schema.documents import Scene, Script

SHORT, LONG = Scene("Only a few words."), Scene("many words " * 20)


def _never() -> None:
    """Never stop."""


def test_each_scene_has_pictures_of_the_size_asked_for_and_long_ones_two(tmp_path: Path) -> None:
    found = make(Script("t", (SHORT, LONG, SHORT)), tmp_path, width=324, height=576, seed=5, checkpoint=_never)
    assert [picture.scene for picture in found] == [0, 1, 1, 2]
    for picture in found:
        image = cv2.imread(str(picture.path))
        assert image is not None
        assert image.shape == (picture.height, picture.width, 3) == (576, 324, 3)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    made: list[list[bytes]] = []
    for number, seed in enumerate((7, 7, 8)):
        out = tmp_path / str(number)
        out.mkdir()
        found = make(Script("t", (SHORT, SHORT)), out, width=320, height=180, seed=seed, checkpoint=_never)
        made.append([picture.path.read_bytes() for picture in found])
    assert made[0] == made[1]
    assert all(one != other for one, other in zip(made[0], made[2], strict=True))


def test_a_stop_is_heard_before_each_picture(tmp_path: Path) -> None:
    calls = itertools.count()

    def stop_at_third() -> None:
        if next(calls) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        make(Script("t", (SHORT,) * 5), tmp_path, width=320, height=180, seed=1, checkpoint=stop_at_third)
    assert len(list(tmp_path.iterdir())) == 2


def test_two_pictures_in_a_row_are_never_of_one_style() -> None:
    for light in itertools.chain(*THEMES.values()):
        styles = [style_for(number, light) for number in range(13)]
        assert all(one is not other for one, other in itertools.pairwise(styles))


@pytest.mark.parametrize("style", _IN_TURN, ids=lambda style: style.__name__)
@pytest.mark.parametrize("size", [(768, 432), (432, 768)], ids=["16:9", "9:16"])
def test_captions_stand_on_a_calm_dark_ground(style: Style, size: tuple[int, int]) -> None:
    for theme in THEMES.values():
        light = theme[-1] if style.__name__ == "curtains" else theme[0]
        rng = np.random.default_rng(3)
        gray = cv2.cvtColor(finished(style(Canvas(*size, light, rng)), rng), cv2.COLOR_RGB2GRAY)
        low = gray[int(size[1] * 0.78) :]
        assert low.mean() < 165
        assert low.std() < 45
        assert gray.std() > 3  # and the picture is no empty wall


@pytest.mark.parametrize(
    ("words", "theme"),
    [
        ("Why octopuses have three hearts", "lagoon"),
        ("The desert empire and its gold, by the sea", "ember"),
        ("How glaciers carve mountains", "polar"),
        ("What is a tax?", "meadow"),
    ],
)
def test_the_colors_follow_the_words_or_else_the_chance(words: str, theme: str) -> None:
    assert theme_for(words, "meadow") == theme
