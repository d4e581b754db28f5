from __future__ import annotations

import pytest

from schema.record.postgres import Postgres
from schema.record.stops import AdmissionStops, Kept, Stop
from tests.integration.record.conftest import execute


@pytest.fixture
def stops(postgres: Postgres) -> AdmissionStops:
    return AdmissionStops(postgres)


async def test_a_guardian_that_says_what_it_stops_places_keeps_and_lifts_its_own(stops: AdmissionStops) -> None:
    memory, other = Stop("gpu_memory", "gpu", "here", "full"), Stop("gpu_memory", "gpu", "there", "full too")
    assert await stops.keep("gpu", "there", {"gpu_memory": "full too"}) == Kept((other,), ())
    assert await stops.keep("gpu", "here", {"gpu_memory": "full"}) == Kept((memory,), ())
    assert await stops.keep("gpu", "here", {"gpu_memory": "fuller"}) == Kept((), ())
    assert [stop.reason for stop in await stops.standing()] == ["full too", "fuller"]
    kept = await stops.keep("gpu", "here", {"other": "o"})
    assert [[stop.cause for stop in changed] for changed in (kept.placed, kept.lifted)] == [["other"], ["gpu_memory"]]
    await stops.keep("gpu", "here", {})
    assert await stops.standing() == (other,)


async def test_a_stop_ends_by_itself_when_its_guardian_is_gone(stops: AdmissionStops, postgres: Postgres) -> None:
    await stops.keep("gpu", "here", {"gpu_memory": "full"})
    await execute(postgres, "UPDATE admission_stops SET renewed_at = now() - interval '61 s'")
    assert await stops.standing() == ()
    await stops.keep("gpu", "here", {"gpu_memory": "full"})
    assert len(await stops.standing()) == 1
