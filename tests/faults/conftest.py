"""As many places to work at as there are providers."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal

import asyncpg
import pytest

from deploy.launch import postgres
from tests.fakes.running import Fakes
from tests.faults.workplace import Workplace, workplace

#: By provider, and under which budget for the video.
Places = Callable[[str, Decimal], AbstractAsyncContextManager[Workplace]]
_numbers = itertools.count(1)
#: Databases of one Valkey, as it has them by default; the first is the other tests'.
_BUSES = range(1, 16)


@pytest.fixture(scope="module")
def places(
    fakes_process: Fakes,
    valkey_port: int,
    postgres_port: int,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Places:
    """Makes places to work at; several may be open at once."""
    folder = tmp_path_factory.mktemp("places")

    @asynccontextmanager
    async def made(provider: str, video_usd: Decimal) -> AsyncIterator[Workplace]:
        number = next(_numbers)
        name = f"faults_{number}"
        server = await asyncpg.connect(postgres.url(postgres_port, "postgres"))
        try:
            await server.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
            environ = {
                "REDIS_URL": f"redis://127.0.0.1:{valkey_port}/{_BUSES[number % len(_BUSES)]}",
                "DATABASE_URL": postgres.url(postgres_port, name),
            }
            async with workplace(provider, fakes_process, environ, folder / name, video_usd=video_usd) as place:
                yield place
            await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            await server.close()

    return made
