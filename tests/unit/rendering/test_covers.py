from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from actors.rendering.composing import reference
from actors.rendering.composing.compositor import Layer
from actors.rendering.composing.covers import weights, zones
from actors.rendering.composing.cpu import CpuCompositor
from actors.rendering.composing.resampling import Box
from actors.rendering.drawing.transitions import WHOLLY, cover
from actors.rendering.nv12 import Pixels
from actors.rendering.planning.plan import Transition

WIDTH, HEIGHT = 96, 54
WHOLE = Box(0, 0, WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def compositor() -> CpuCompositor:
    return CpuCompositor(WIDTH, HEIGHT)


def grey(compositor: CpuCompositor, level: int) -> Pixels:
    width, height = compositor.canvas_size()
    return np.full((height, width, 3), level, np.uint8)


def colour(compositor: CpuCompositor, seed: int) -> Pixels:
    width, height = compositor.canvas_size()
    return np.full((height, width, 3), np.random.default_rng(seed).integers(0, 256, 3), np.uint8)


def covering(compositor: CpuCompositor, weight: float, across: float = 0.0, down: float = 0.0) -> Layer:
    return Layer(compositor.prepare(colour(compositor, 1)), 1.1, 0.3, 0.6, weight, across, down)


@pytest.mark.parametrize("way", get_args(Transition))
def test_a_shot_takes_over_at_every_pixel_and_gives_nothing_back(compositor: CpuCompositor, way: Transition) -> None:
    before = np.zeros((HEIGHT, WIDTH), np.float32)
    steps = np.linspace(0, 1, 16)[1:]
    for progress in steps:
        now = weights(covering(compositor, *cover(way, progress)), WHOLE, WIDTH, HEIGHT)[0]
        assert now.min() >= before.min() >= 0
        assert now.max() <= 1
        assert (now >= before).all()
        assert (now != before).any() or way == "cut"
        before = now
    assert cover(way, 1.0) == WHOLLY


def test_an_edge_goes_where_its_name_says(compositor: CpuCompositor) -> None:
    ends: dict[Transition, tuple[tuple[int, int], tuple[int, int]]] = {
        "wipe_right": ((27, 8), (27, 88)),
        "wipe_left": ((27, 88), (27, 8)),
        "wipe_down": ((6, 48), (48, 48)),
        "wipe_up": ((48, 48), (6, 48)),
    }
    for way, (first, last) in ends.items():
        half = weights(covering(compositor, *cover(way, 0.5)), WHOLE, WIDTH, HEIGHT)[0]
        assert half[first] == 1
        assert half[last] == 0


@pytest.mark.parametrize("seed", range(24))
def test_the_cpu_covers_as_plain_floating_point_does(compositor: CpuCompositor, seed: int) -> None:
    dice = np.random.default_rng(seed)
    slopes = dice.choice([0.0, 1.0, -3.0, 8.0, -1000.0, 1e6], 2) * ((1, 0), (0, 1), (1, 1), (0, 0))[seed % 4]
    weight = float(dice.uniform(0, 1) - dice.uniform(0, 1) * slopes.sum()) if seed % 4 < 3 else float(dice.uniform())
    below, above = (colour(compositor, 2 * seed + place) for place in (0, 1))
    layers = [
        Layer(compositor.prepare(below), 1.05, 0.4, 0.2, 1.0),
        Layer(compositor.prepare(above), 1.1, 0.3, 0.6, weight, *slopes),
    ]
    made = compositor.compose(layers, [])
    exact = reference.compose(list(zip(layers, (below, above), strict=True)), [], WIDTH, HEIGHT)
    for rounded, wanted in zip(made.planes(), exact, strict=True):
        assert np.abs(rounded - wanted).max() <= 1.6  # a level, and what swscale and a mix of rounded levels are off


@pytest.mark.parametrize(
    "slopes", [(0.0, 0.0), (7.0, 0.0), (-7.0, 0.0), (0.0, 7.0), (0.0, -7.0), (1e9, 0.0), (3.0, 2.0)]
)
@pytest.mark.parametrize("weight", [-9.0, -3.1, 0.0, 0.5, 1.0, 2.7, 7.9])
def test_only_along_the_edge_are_pixels_mixed(
    compositor: CpuCompositor, weight: float, slopes: tuple[float, float]
) -> None:
    layer = covering(compositor, weight, *slopes)
    share = weights(layer, WHOLE, WIDTH, HEIGHT)[0]
    wholly, partly = zones(layer, WIDTH, HEIGHT)
    assert (share[wholly.top : wholly.bottom, wholly.left : wholly.right] == 1).all()
    touched = np.zeros((HEIGHT, WIDTH), np.uint8)
    for box in (wholly, partly):
        assert not any(side % 2 for side in box)
        box.of(touched)[...] = 1
    assert (share[touched == 0] == 0).all()
    bared = np.zeros((HEIGHT, WIDTH), np.uint8)
    zones(layer, WIDTH, HEIGHT).bared(WHOLE).of(bared)[...] = 1
    assert (share[bared == 0] == 1).all()
