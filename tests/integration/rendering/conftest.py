"""One short film for all tests of this folder, made once."""

from __future__ import annotations

import pytest

from actors.rendering.film import render
from actors.rendering.order import FilmOrder, InspectionOrder, Rendered
from tests.unit.rendering.conftest import cupy, encoder_of_the_card, kernel
from tests.unit.rendering.orders import order

__all__ = ["cupy", "encoder_of_the_card", "kernel"]


def go_on() -> None:
    """A checkpoint that never stops."""


def unheard(_frame: int, _of: int) -> None:
    """Progress that nobody waits for."""


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[FilmOrder, Rendered]:
    """A 720p film of two scenes, some eight seconds long, and its order."""
    made = order(tmp_path_factory.mktemp("film"))
    return made, render(made, checkpoint=go_on, progress=unheard)


@pytest.fixture(scope="session")
def inspection_order(film: tuple[FilmOrder, Rendered]) -> InspectionOrder:
    """What inspects that film as it is."""
    made = film[0]
    return InspectionOrder(film=made.out, plan=made.plan_out, voice=made.voice, video=made.video)
