"""The real cupy, where the extra `gpu` is installed: what of it is used is there. It needs no card for that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actors.rendering.composing import card as cards
from actors.rendering.composing.card import CardError, is_out_of_memory

cupy = pytest.importorskip("cupy")


def test_every_name_that_is_used_is_in_the_wheel() -> None:
    used = set(re.findall(r"cupy\.((?:[A-Za-z_]+\.)*[A-Za-z_]+)", Path(cards.__file__).read_text("utf-8")))
    assert {"cuda.Memory", "cuda.UnownedMemory", "RawModule", "ndarray"} <= used
    for name in used:
        found = cupy
        for part in name.split("."):
            found = getattr(found, part)


def test_its_error_of_a_full_card_is_known() -> None:
    assert is_out_of_memory(cupy.cuda.memory.OutOfMemoryError(1, 2, 0))


def test_a_machine_without_a_driver_is_told_so() -> None:
    if cupy.cuda.is_available():
        pytest.skip("there is a card")
    with pytest.raises(CardError, match="no NVIDIA driver answers") as error, cards.opened("auto"):
        pass
    assert error.value.cause == "no_driver"
