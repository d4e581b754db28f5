"""A card that is played, for the tests of what runs on one."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from actors.rendering.composing import card as cards
from actors.rendering.composing.card import Card
from actors.rendering.encoding import nvenc
from actors.rendering.encoding.encoder import Codec, libx264
from schema.settings.video import Video
from tests.fakes.card import FakeCupy, built

#: Asks the real cupy, where the extra `gpu` is installed.
collect_ignore = [] if find_spec("cupy") else ["test_cupy.py"]


@pytest.fixture(scope="session")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The kernel, built for the CPU."""
    return built(tmp_path_factory.mktemp("kernel"))


@pytest.fixture
def cupy(kernel: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> FakeCupy:
    """The played card, where `import cupy` finds it."""
    return FakeCupy(kernel).installed(monkeypatch)


@pytest.fixture
def card(cupy: FakeCupy) -> Iterator[Card]:
    """It, opened."""
    assert cupy.cards
    with cards.opened("auto") as opened:
        yield opened


@pytest.fixture
def encoder_of_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """libx264 plays NVENC: what the card composed is ordinary memory here."""

    def codec(video: Video, *, plain: bool = False) -> Codec:
        return libx264(video)._replace(name=nvenc.NAME if plain else "libx264")

    monkeypatch.setattr(nvenc, "codec", codec)
