from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actors.rendering import styles
from actors.rendering.drawing import fonts
from actors.rendering.drawing.captions import Captions
from actors.rendering.nv12 import Patch
from actors.rendering.planning.plan import Plan
from actors.rendering.planning.timeline import plan
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


def test_nothing_shifts_while_the_light_moves_from_word_to_word(tmp_path: Path) -> None:
    film = planned(tmp_path, "16:9")
    captions, caption = Captions(film, styles.named("default", "16:9"), fonts.choose("a")), film.captions[0]
    states = [captions.at(start) for start in caption.starts]
    first, second, third = (state for state in states[:3] if state)
    assert (first.left, first.top) == (second.left, second.top) == (third.left, third.top)
    # From the first word lit to the second, the third does not change; the shape of the text never does.
    changed = np.flatnonzero((first.colour.y != second.colour.y).any(axis=0))
    assert 0 < changed.max() < np.flatnonzero((second.colour.y != third.colour.y).any(axis=0)).max()
    for state in (second, third):
        np.testing.assert_array_equal(first.through.y, state.through.y)


def test_there_is_no_caption_before_the_first_word(tmp_path: Path) -> None:
    film = planned(tmp_path, "16:9")
    assert Captions(film, styles.named("default", "16:9"), fonts.choose("a")).at(film.captions[0].first - 1) is None
