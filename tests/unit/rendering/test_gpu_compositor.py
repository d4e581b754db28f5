from __future__ import annotations

import os
import threading

import av
import numpy as np
import pytest

from actors.rendering.composing import card as cards
from actors.rendering.composing.card import Card, CardError
from actors.rendering.composing.compositor import Layer
from actors.rendering.composing.cpu import CpuCompositor
from actors.rendering.composing.gpu import MAX_LAYERS, GpuCompositor
from actors.rendering.composing.ring import MOST_FRAMES, PITCH_BYTES, Ring
from actors.rendering.nv12 import patch
from tests.fakes.card import FakeCupy
from tests.unit.rendering.test_compositor import textured

WIDTH, HEIGHT = 320, 180


def compositor(card: Card, *, stays: bool = True) -> GpuCompositor:
    return GpuCompositor(card, WIDTH, HEIGHT, stays=stays)


def layer(made: GpuCompositor | CpuCompositor) -> Layer:
    smooth = textured(CpuCompositor(WIDTH, HEIGHT))
    columns, rows = made.canvas_size()
    return Layer(made.prepare(smooth[:rows, :columns]), 1.1, 0.3, 0.6, 1.0)


@pytest.mark.parametrize("stays", [True, False])
def test_a_frame_is_one_allocation_with_its_chroma_below_its_luma(card: Card, *, stays: bool) -> None:
    made = compositor(card, stays=stays)
    frame = made.frame(made.compose([layer(made)], []))
    luma, chroma = frame.planes
    assert luma.line_size == 512  # the next multiple of 256
    assert luma.line_size % PITCH_BYTES == 0
    assert chroma.buffer_ptr - luma.buffer_ptr == luma.line_size * HEIGHT
    assert (frame.format.name, frame.width, frame.height) == ("nv12", WIDTH, HEIGHT)
    assert (frame.colorspace, frame.color_range) == (1, 1)


def test_the_card_shows_what_the_cpu_shows(card: Card) -> None:
    on_card, on_cpu = compositor(card), CpuCompositor(WIDTH, HEIGHT)
    size, rgb = on_card.canvas_size(), textured(on_cpu)
    words = patch(np.full((20, 60, 4), (255, 209, 64, 160), np.uint8), 40, 30)
    shown = []
    for made in (on_card, on_cpu):
        # the same picture for both; only its resolution differs
        columns, rows = made.canvas_size()
        canvas = made.prepare(np.asarray(av.VideoFrame.from_ndarray(rgb).reformat(columns, rows).to_ndarray()))
        shown.append(made.compose([Layer(canvas, 1.1, 0.3, 0.6, 1.0)], [(words, 0.7)]))
    assert size != on_cpu.canvas_size()
    for card_plane, cpu_plane in zip(*(picture.planes() for picture in shown), strict=True):
        off = np.asarray(card_plane).astype(int) - cpu_plane
        assert abs(off.mean()) < 0.3
        assert np.sqrt((off**2).mean()) < 4  # two resamplings of fine noise; a pixel's shift would be 20


def test_no_frame_is_copied_that_stays_on_the_card(cupy: FakeCupy, card: Card) -> None:
    made = compositor(card)
    shown, words = layer(made), patch(np.full((10, 20, 4), 200, np.uint8), 0, 0)
    made.compose([shown], [(words, 1.0)])
    before = cupy.counts.copy()
    for opacity in np.linspace(0, 1, 20):
        made.frame(made.compose([shown], [(words, float(opacity))]))
    assert cupy.counts - before == {"launched": 20}


def test_a_frame_for_the_cpus_encoder_comes_down_once(cupy: FakeCupy, card: Card) -> None:
    made = compositor(card, stays=False)
    shown = layer(made)
    before = cupy.counts.copy()
    made.frame(made.compose([shown], []))
    assert cupy.counts - before == {"launched": 1, "down": 1}


def test_a_frame_that_is_held_is_never_written_and_one_that_is_back_is_used_last(card: Card) -> None:
    ring = Ring(card, WIDTH, HEIGHT)
    held = [ring.take() for _ in range(5)]
    addresses = [frame.data.ptr for frame in held]
    assert len(set(addresses)) == 5
    del held[1], held[2]
    again = [ring.take() for _ in range(2)]
    assert [frame.data.ptr for frame in again] == [addresses[1], addresses[3]]
    assert ring.length == 5


def test_an_encoder_that_holds_a_frame_keeps_it_out_of_the_ring(card: Card) -> None:
    made = compositor(card)
    shown = layer(made)
    first = made.frame(made.compose([shown], []))
    address = first.planes[0].buffer_ptr
    others = {made.frame(made.compose([shown], [])).planes[0].buffer_ptr for _ in range(10)}
    assert address not in others
    assert len(others) == 1, "they were let go one by one"
    del first
    assert address in {made.frame(made.compose([shown], [])).planes[0].buffer_ptr for _ in range(2)}


def test_a_ring_is_no_longer_than_what_the_encoder_can_register(card: Card) -> None:
    ring = Ring(card, WIDTH, HEIGHT)
    held = [ring.take() for _ in range(MOST_FRAMES)]
    with pytest.raises(CardError, match="holds 64 frames and gives none back"):
        ring.take()
    assert len(held) == ring.length


def test_a_release_frees_the_pools_and_leaves_the_frames(cupy: FakeCupy, card: Card) -> None:
    made = compositor(card)
    shown = layer(made)
    frame = made.compose([shown], [])
    left_bytes = cupy.left_bytes
    cupy.kept_bytes = 5000
    freed: list[int | None] = []
    asked = threading.Thread(target=lambda: freed.append(cards.release()))
    asked.start()
    asked.join()
    assert freed == [5000]
    assert cupy.left_bytes == left_bytes + 5000
    assert cupy.counts["pinned_freed"] == 1
    assert made.frame(frame).width == WIDTH


def test_nothing_is_released_where_no_card_is_in_use() -> None:
    assert cards.release() is None


def test_what_the_pools_keep_makes_room_for_a_frame(cupy: FakeCupy, card: Card) -> None:
    ring = Ring(card, WIDTH, HEIGHT)
    cupy.left_bytes, cupy.kept_bytes = 1000, 1 << 20
    held = [ring.take()]
    cupy.left_bytes = 1000
    with pytest.raises(RuntimeError, match="out of memory") as error:
        held.append(ring.take())
    assert cards.is_out_of_memory(error.value)
    assert cupy.counts["freed"] == 2


def test_too_many_layers_are_refused(card: Card) -> None:
    made = compositor(card)
    with pytest.raises(ValueError, match="5 layers and 0 patches: a frame takes 1 to 4 and 0 to 6"):
        made.compose([layer(made)] * (MAX_LAYERS + 1), [])
    with pytest.raises(ValueError, match="0 layers"):
        made.compose([], [])


def test_patches_of_old_words_do_not_pile_up(card: Card) -> None:
    made = compositor(card)
    shown = layer(made)
    for word in range(30):
        made.compose([shown], [(patch(np.full((4, 4, 4), word, np.uint8), 0, 0), 1.0)])
    assert len(made._patches) == 8


def test_the_number_of_a_card_hides_the_others(cupy: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cupy.cards
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.setenv(name, "")
    with cards.opened("2") as card:
        assert (card.name, card.capability) == ("A card that is played", "9.0")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2"
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
