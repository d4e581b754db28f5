from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from actors.rendering.composing import reference
from actors.rendering.composing.card import Card
from actors.rendering.composing.compositor import Layer
from actors.rendering.composing.gpu import FRAME, LAYER, MAX_LAYERS, MAX_PATCHES, PATCH, GpuCompositor
from actors.rendering.nv12 import Nv12, Patch, Pixels, patch

SOURCE = Path(reference.__file__).with_name("kernel.cu")
#: From Volta to Blackwell.
KINDS = ("sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")


def picture(dice: np.random.Generator, width: int, height: int) -> Pixels:
    """Colours with edges, smooth enough that a pixel's neighbour says something of it."""
    noise = dice.integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 0.8).astype(np.uint8)


def text(dice: np.random.Generator, width: int, height: int) -> Patch:
    """Something half transparent that fits a frame of this size."""
    columns, rows = int(dice.integers(2, width // 2)), int(dice.integers(2, height // 2))
    rgba = dice.integers(0, 256, (rows, columns, 4), np.uint8)
    return patch(rgba, int(dice.integers(0, width - columns)), int(dice.integers(0, height - rows)))


def cover(dice: np.random.Generator) -> dict[str, float]:
    """An even one, or an edge somewhere in the frame."""
    across, down = dice.choice([0.0, 1.0, -3.0, 8.0, -100.0], 2)
    weight = dice.uniform() - across * dice.uniform() - down * dice.uniform()
    return {"weight": float(weight), "across": float(across), "down": float(down)}


@pytest.mark.parametrize("seed", range(12))
def test_the_kernel_equals_plain_floating_point_within_a_level(card: Card, seed: int) -> None:
    dice = np.random.default_rng(seed)
    width, height = (2 * int(length) for length in dice.integers(20, 90, 2))
    compositor = GpuCompositor(card, width, height, stays=True)
    pictures = [picture(dice, *compositor.canvas_size()) for _ in range(1 + seed % MAX_LAYERS)]
    layers = [
        Layer(compositor.prepare(rgb), *dice.uniform((1.0, 0.0, 0.0), (1.16, 1.0, 1.0)), **cover(dice))
        for rgb in pictures
    ]
    patches = [(text(dice, width, height), float(dice.uniform())) for _ in range(seed % (MAX_PATCHES + 1))]
    made = compositor.compose(layers, patches)
    exact = reference.compose(list(zip(layers, pictures, strict=True)), patches, width, height)
    for rounded, wanted in zip(made.planes(), exact, strict=True):
        assert np.abs(np.asarray(rounded) - wanted).max() < 0.51  # rounded to the nearest, and some of float


class Film:
    """A moving picture at one moment."""

    def __init__(self, dice: np.random.Generator, width: int, height: int) -> None:
        self.picture = Nv12(
            dice.integers(0, 256, (height, width), np.uint8),
            dice.integers(0, 256, (height // 2, width // 2, 2), np.uint8),
        )

    def on_card(self) -> None:
        """It is in memory."""

    def fill(self, target: Nv12) -> None:
        """Write it there."""
        for plane, its in zip(target.planes(), self.picture.planes(), strict=True):
            np.copyto(plane, its)


@pytest.mark.parametrize("seed", range(6))
def test_moving_pictures_are_laid_as_they_are_over_stills_and_under_them(card: Card, seed: int) -> None:
    dice = np.random.default_rng(seed)
    width, height = (2 * int(length) for length in dice.integers(20, 90, 2))
    compositor, film = GpuCompositor(card, width, height, stays=True), Film(dice, width, height)
    still, cover = picture(dice, *compositor.canvas_size()), dice.uniform((0.1, -2.0, -2.0), (0.9, 2.0, 2.0))
    moving, unmoved = compositor.moving(film), compositor.prepare(still)
    laid: list[tuple[Layer, Pixels | Nv12]] = [
        (Layer(unmoved, 1.1, 0.3, 0.6, *cover), still),
        (Layer(moving, 1.0, 0.5, 0.5, *cover), film.picture),
    ]
    layers = laid if seed % 2 else laid[::-1]
    made = compositor.compose([layer for layer, _ in layers], [])
    exact = reference.compose(layers, [], width, height)
    for rounded, wanted in zip(made.planes(), exact, strict=True):
        assert np.abs(np.asarray(rounded) - np.clip(wanted, 0, 255)).max() < 0.51
    alone = compositor.compose([laid[1][0]], [])
    for plane, its in zip(alone.planes(), film.picture.planes(), strict=True):
        assert np.array_equal(np.asarray(plane), its)


def test_the_host_describes_the_structs_as_the_compiler_lays_them_out(kernel: ctypes.CDLL) -> None:
    places = [dict(kind.fields or {}) for kind in (LAYER, PATCH, FRAME)]
    layer, patched, frame = ({name: field[1] for name, field in fields.items()} for fields in places)
    wanted = [LAYER.itemsize, layer["luma"], layer["scale"], layer["weight"], layer["pitch"]]
    wanted += [PATCH.itemsize, patched["chroma"], patched["left"], patched["opacity"]]
    wanted += [FRAME.itemsize, frame["patches"], frame["layer_count"], frame["patch_count"]]
    assert list((ctypes.c_int * len(wanted)).in_dll(kernel, "described")) == wanted


@pytest.fixture(scope="module")
def nvrtc() -> ctypes.CDLL:
    """NVIDIA's compiler, as cupy uses it on a card."""
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    found = [library for folder in folders for library in folder.glob("cuda_nvrtc/lib/libnvrtc.so.*")]
    if not found:
        pytest.skip("nvidia-cuda-nvrtc-cu12 is not installed: it has wheels for Linux only")
    return ctypes.CDLL(str(found[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_compiles_for_every_kind_of_card(nvrtc: ctypes.CDLL, kind: str) -> None:
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    source = SOURCE.read_bytes()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"kernel.cu", 0, None, None) == 0
    options = (ctypes.c_char_p * 1)(f"--gpu-architecture={kind}".encode())
    failed = nvrtc.nvrtcCompileProgram(program, 1, options)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert not failed, log.value.decode()
    assert b"kernel.cu" not in log.value, log.value.decode()  # it warns of the oldest cards, never of the kernel
    assert nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)) == 0
    assert size.value > 1000
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
