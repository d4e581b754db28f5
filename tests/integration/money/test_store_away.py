"""Buying while the store of artifacts cannot be used: nothing is paid for that could not be kept, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.providers import purchase
from schema.artifacts import Artifacts
from schema.documents import ArtifactRef
from schema.errors import StoreUnavailableError
from schema.money.statement import Statement
from schema.record.postgres import Postgres
from tests.integration.money.conftest import run_stage
from tests.integration.money.shop import SAID, Order, Shop, Voice


class Leaving(Artifacts):
    """A store that is away for as long as it is told, or for the next so many deeds."""

    is_away, fails = False, 0

    def reach(self) -> None:
        """Fail while it is away."""
        if self.is_away:
            raise StoreUnavailableError

    def put(self, source: Path, path: str) -> ArtifactRef:
        """Likewise, or for so many times."""
        self.reach()
        if self.fails:
            self.fails -= 1
            raise StoreUnavailableError
        return super().put(source, path)

    @contextmanager
    def local(self, ref: ArtifactRef) -> Iterator[Path]:
        """Likewise."""
        self.reach()
        with super().local(ref) as path:
            yield path


@pytest.fixture
async def shop(postgres: Postgres, tmp_path: Path) -> Shop:
    await run_stage(postgres, stage="audio")
    return Shop(postgres, tmp_path)


@pytest.fixture
def store(shop: Shop, tmp_path: Path) -> Leaving:
    shop.purchases.artifacts = Leaving(str(tmp_path / "artifacts"))
    return shop.purchases.artifacts


async def _states(statement: Statement) -> list[tuple[str, bool]]:
    return [(call.state, call.second_purchase) for call in await statement.calls("v")]


async def test_nothing_is_bought_that_could_not_be_kept(shop: Shop, store: Leaving, statement: Statement) -> None:
    voice, store.is_away = Voice(), True
    with pytest.raises(StoreUnavailableError):
        await shop.buy(voice)
    assert voice.calls == []
    assert await _states(statement) == []
    store.is_away = False
    assert await shop.buy(voice) == (SAID, Order().text)


async def test_a_store_that_left_after_the_call_was_sent_is_waited_for_and_nothing_is_bought_twice(
    shop: Shop, store: Leaving, statement: Statement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purchase, "_STORE_LOOK_S", 0.01)
    voice, store.fails = Voice(), 3
    assert await shop.buy(voice) == (SAID, Order().text)
    assert await _states(statement) == [("settled", False)]


async def test_what_was_bought_before_is_not_given_up_for_lost_while_the_store_is_away(
    shop: Shop, store: Leaving, statement: Statement
) -> None:
    voice = Voice()
    await shop.buy(voice)
    store.is_away = True
    with pytest.raises(StoreUnavailableError):
        await shop.buy(voice)
    store.is_away = False
    assert await shop.buy(voice) == (SAID, Order().text)
    assert len(voice.calls) == 1
    assert await _states(statement) == [("settled", False)]
