"""A film whose words, pictures and voice are bought: the whole factory, with fakes of all four providers."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from schema.documents import Footage, Script, Speech, Step
from schema.money.prices import Prices
from tests.acceptance import measuring
from tests.factory.running import Factory, factory
from tests.fakes import running as fakes
from tests.fakes.running import Fakes

pytestmark = pytest.mark.slow

_DOCUMENTS = (("script", Script), ("media", Footage), ("audio", Speech))


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Factory, Fakes]]:
    """A factory with keys set, and those that it buys from."""
    with (
        fakes.running(tmp_path_factory.mktemp("fakes")) as providers,
        factory(tmp_path_factory.mktemp("factory"), environ=providers.environ()) as real,
    ):
        yield real, providers


def _left(real: Factory, video: str, stage: str, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """What a stage left."""
    ((output,),) = real.rows("SELECT output FROM video_stages WHERE video_id = $1 AND stage = $2", video, stage)
    assert isinstance(output, bytes)
    return msgspec.json.decode(output, type=kind)


def test_a_topic_alone_becomes_a_film_bought_to_the_cent(paid: tuple[Factory, Fakes]) -> None:
    real, providers = paid
    video = real.receipt(real.submit(topic="Why cats purr", length="20s"))["video"]

    def ended() -> str:
        ((status, reason),) = real.rows("SELECT status, coalesce(reason, '') FROM video_queue WHERE id = $1", video)
        assert status not in ("failed", "cancelled"), reason
        return str(status) if status == "completed" else ""

    real.until(ended, within_s=240)
    script, footage, speech = (_left(real, video, stage, kind) for stage, kind in _DOCUMENTS)
    assert isinstance(script, Script)
    assert isinstance(footage, Footage)
    assert isinstance(speech, Speech)
    assert script.made_by == (Step("openai", "used"),)
    assert footage.made_by == (Step("pexels", "used"),)
    assert speech.made_by == (Step("elevenlabs", "used"),)
    assert all(picture.licence for picture in footage.pictures)
    rows = real.rows("SELECT id, service, model, state FROM money.reservations WHERE video_id = $1", video)
    assert {state for *_, state in rows} == {"settled"}
    models = {UUID(str(made)): (str(service), str(model)) for made, service, model, _ in rows}
    billed = [line for line in providers.lines() if line.provider != "media"]
    assert {UUID(line.reservation) for line in billed} == set(models)
    bills = [Prices("").bill_usd(*models[UUID(line.reservation)], line.billed) for line in billed]
    ((spent_usd,),) = real.rows("SELECT sum(amount) FROM pipeline_costs WHERE video_id = $1", video)
    assert spent_usd == sum(bills, Decimal(0)) > 0
    film = real.folder / "videos" / f"{video}.mp4"
    measuring.needs_ffmpeg()
    facts = measuring.probe(film)
    assert (facts.width, facts.height, facts.audio_codec) == (1920, 1080, "aac")
