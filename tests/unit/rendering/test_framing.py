from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from actors.rendering.drawing import interest, stills
from actors.rendering.nv12 import Pixels
from actors.rendering.planning.framing import LARGEST_ZOOM, Interest, Move, cut, moves
from schema.errors import PermanentError

WIDE = 16 / 9
SECONDS = (0.1, 2.0, 4.0, 8.5, 60.0)


def on_screen(move: Move, place: Interest, progress: float) -> tuple[float, float]:
    """Where in the frame a place of the picture is."""
    zoom, x, y = move.at(progress)
    return (place.x - (1 - 1 / zoom) * x) * zoom, (place.y - (1 - 1 / zoom) * y) * zoom


def with_a_thing(x: float, y: float, size: tuple[int, int] = (320, 180)) -> Pixels:
    """A meadow, and in it something red."""
    width, height = size
    rgb = np.full((height, width, 3), (70, 130, 60), np.uint8)
    rgb += np.random.default_rng(3).integers(0, 9, rgb.shape, np.uint8)
    left, top = round(x * width), round(y * height)
    rgb[top - 15 : top + 15, left - 15 : left + 15] = (220, 40, 30)
    return rgb


def saved(rgb: Pixels, path: Path) -> str:
    Image.fromarray(rgb).save(path)
    return str(path)


def made(kind: str, seen: Interest, seconds: float = 6.0) -> Move:
    """The first such move that any seed makes."""
    return next(move for seed in range(200) for move in moves([(seen, seconds)], WIDE, seed) if move.kind == kind)


def test_no_move_comes_twice_in_a_row_and_none_leaves_the_picture() -> None:
    dice = np.random.default_rng(4)
    shots = [(Interest(*dice.uniform(0, (1, 1, 1, 1, 3))), dice.choice(SECONDS)) for _ in range(300)]
    chosen = moves(shots, WIDE, seed=3)
    assert chosen == moves(shots, WIDE, seed=3) != moves(shots, WIDE, seed=4)
    assert all(before.kind != after.kind for before, after in itertools.pairwise(chosen))
    assert {move.kind for move in chosen} == {"in", "out", "left", "right", "up", "down"}
    for move in chosen:
        for progress in (0.0, 0.5, 1.0):
            zoom, x, y = move.at(progress)
            assert 1.0 < zoom <= LARGEST_ZOOM
            assert 0.0 <= x <= 1.0
            assert 0.0 <= y <= 1.0


@pytest.mark.parametrize("kind", ["in", "out", "left", "right", "up"])
def test_long_shots_do_not_crawl_and_short_ones_do_not_rush(kind: str) -> None:
    seen = Interest(0.5 if kind in ("in", "out") else 0.1 if kind == "left" else 0.9, 0.4 if kind != "up" else 0.1)
    for seconds in (1.0, 2.0, 4.0, 8.5):
        move = made(kind, seen, seconds)
        room = 1 - 1 / move.zoom_to
        pan = room * max(abs(move.x_to - move.x_from), abs(move.y_to - move.y_from))
        pace = (pan or abs(move.zoom_to - move.zoom_from)) / seconds
        assert 0.012 <= pace <= 0.037, (seconds, move)


@pytest.mark.parametrize("place", [(0.2, 0.3), (0.8, 0.3), (0.5, 0.42)])
def test_zooms_and_pans_bring_what_matters_nearer_to_where_the_eye_rests(place: tuple[float, float]) -> None:
    seen = Interest(*place, spread_x=0.4, spread_y=0.3)
    for kind in ("in", "out", "right" if place[0] >= 0.5 else "left"):
        move = made(kind, seen)
        first, last = ((0.0, 1.0), (1.0, 0.0))[kind == "out"]
        far, near = (abs(on_screen(move, seen, progress)[0] - 0.5) for progress in (first, last))
        assert near <= far + 0.02


def test_what_is_low_in_a_picture_stands_higher_in_the_frame() -> None:
    low = Interest(0.5, 0.86, 0.2, 0.2)
    for seed in range(30):
        (move,) = moves([(low, 5.0)], WIDE, seed)
        assert move.kind != "out"
        assert on_screen(move, low, 1.0)[1] < low.y


@pytest.mark.parametrize("place", [(0.25, 0.3), (0.75, 0.7), (0.5, 0.5)])
def test_a_thing_in_a_meadow_is_found(tmp_path: Path, place: tuple[float, float]) -> None:
    found = interest.find(saved(with_a_thing(*place), tmp_path / "meadow.png"))
    assert (found.x, found.y) == pytest.approx(place, abs=0.08)
    assert max(found.spread_x, found.spread_y) < 0.6


def test_where_nothing_is_to_be_seen_the_middle_serves() -> None:
    assert interest.of(np.full((36, 64, 3), 200, np.uint8), WIDE) == Interest(shape=WIDE)


@pytest.mark.parametrize(
    ("size", "place"), [((180, 320), (0.5, 0.85)), ((450, 150), (0.1, 0.5)), ((150, 450), (0.5, 0.1))]
)
def test_a_picture_of_another_shape_is_cut_around_what_matters(
    tmp_path: Path, size: tuple[int, int], place: tuple[float, float]
) -> None:
    path = saved(with_a_thing(*place, size), tmp_path / "meadow.png")
    found = interest.find(path)
    red = stills.load(path, 320, 180, (found.x, found.y)).astype(int)
    assert ((red[..., 0] - red[..., 1]) > 100).sum() > 0.9 * (320 * 180) * 900 / _kept_pixels(size)


def _kept_pixels(size: tuple[int, int]) -> float:
    _, _, wide, tall = cut(Interest(shape=size[0] / size[1]), WIDE)
    return size[0] * wide * size[1] * tall


def test_a_picture_that_is_cut_short_is_refused_before_the_first_frame(tmp_path: Path) -> None:
    path = Path(saved(with_a_thing(0.5, 0.5), tmp_path / "short.png"))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(PermanentError, match=r"short\.png cannot be decoded"):
        interest.find(str(path))
