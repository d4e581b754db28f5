"""What script, media and audio buy with keys set, from providers that keep a ledger of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec
import pytest

from actors import audio, media, quality, script
from actors.rendering.order import Inspection
from schema import flow
from schema.documents import Brief, Film, Finding, Footage, Picture, Script, Speech, Step
from schema.modes import Mode
from schema.money.prices import Prices
from schema.money.statement import Call, Statement
from schema.record.admission import Queue
from schema.record.gate import Order
from schema.record.videos import Videos
from schema.settings.limits import Limits
from schema.settings.providers import Providers
from streams.process import Process
from tests.fakes import pictures
from tests.fakes.faults import Fault
from tests.fakes.ledger import Line
from tests.fakes.running import Fakes
from tests.integration.actors.by_hand import Stage
from tests.integration.processes import Processes
from tests.integration.record.conftest import execute, value

Document = TypeVar("Document")
_WORK = {"script": script.write, "media": media.collect, "audio": audio.synthesise}
_NOTES = "Octopuses have three hearts. Two of them serve the gills and one serves the body. " * 3


class Buyer:
    """One process that does all stages which buy, one after the other."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def video(self, *, notes: str = _NOTES, length_s: float = 10.0, key: str = "k") -> str:
        """A video that is admitted."""
        postgres, brief = self.process.postgres, Brief("Why octopuses have three hearts", notes, length_s=length_s)
        accepted = await Videos(postgres).accept(key=key, priority=5, brief=brief, traceparent="")
        queue = Queue(postgres)
        await queue.promote(capacity=100, age_per_priority_s=600)
        await queue.admit(most=100, age_per_priority_s=600)
        return accepted.video

    async def do(self, video: str, *stages: str) -> None:
        """Let these stages work on it."""
        for name in stages or tuple(_WORK):
            await Stage(self.process, _WORK[name], flow.STAGE[name])(video, f"{name}-1")

    async def finish(self, video: str, stage: str, output: msgspec.Struct) -> None:
        """A stage that buys nothing has left this."""
        await execute(
            self.process.postgres,
            "UPDATE video_stages SET status = 'done', output = $3, ended_at = now() WHERE video_id = $1 AND stage = $2",
            *(video, stage, output),
        )

    async def left(self, video: str, stage: str, kind: type[Document]) -> Document:
        """What a stage left."""
        found = await value(
            self.process.postgres, "SELECT output FROM video_stages WHERE video_id = $1 AND stage = $2", video, stage
        )
        assert isinstance(found, bytes), f"{stage} left nothing"
        return msgspec.json.decode(found, type=kind)

    async def steps(self, video: str) -> dict[str, tuple[Step, ...]]:
        """Who was asked for what."""
        return {
            "script": (await self.left(video, "script", Script)).made_by,
            "media": (await self.left(video, "media", Footage)).made_by,
            "audio": (await self.left(video, "audio", Speech)).made_by,
        }

    async def calls(self, video: str) -> list[Call]:
        """What the ledger has of it."""
        return await Statement(self.process.postgres).calls(video)

    async def spent_usd(self, video: str) -> Decimal:
        """What it has cost."""
        found = await value(
            self.process.postgres, "SELECT coalesce(sum(amount), 0) FROM pipeline_costs WHERE video_id = $1", video
        )
        assert isinstance(found, Decimal)
        return found

    def stored(self, picture: Picture) -> bytes:
        """The picture's file."""
        with self.process.artifacts.local(picture.artifact) as path:
            return path.read_bytes()

    def mode(self, mode: Mode) -> None:
        """This mode is in force from now on."""
        self.process.keeper._orders = (Order("mode", "", "", "operator", mode, "", datetime.now(UTC)),)


@pytest.fixture
async def buyer(processes: Processes, fakes: Fakes) -> Buyer:
    return Buyer(await processes("script", providers=fakes.settings()))


def billed_usd(lines: list[Line], model_of: dict[UUID, str]) -> Decimal:
    """What the fakes would have billed, at the table's prices."""
    prices = Prices("")
    bills = [
        prices.bill_usd(line.provider, model_of[UUID(line.reservation)], line.billed) for line in lines if line.billed
    ]
    return sum(bills, Decimal(0))


def outcomes(steps: tuple[Step, ...]) -> list[tuple[str, str]]:
    return [(step.provider, step.outcome) for step in steps]


async def test_a_video_is_bought_from_all_providers_and_costs_to_the_cent_what_they_bill(
    buyer: Buyer, fakes: Fakes
) -> None:
    video = await buyer.video(notes="", length_s=20.0)
    await buyer.do(video)
    written = await buyer.left(video, "script", Script)
    footage, speech = await buyer.left(video, "media", Footage), await buyer.left(video, "audio", Speech)
    assert len(written.scenes) > 1
    assert {picture.scene for picture in footage.pictures} == set(range(len(written.scenes)))
    assert all("Pexels" in picture.credit and "Pexels" in picture.licence for picture in footage.pictures)
    assert [" ".join(word.text for word in scene.words) for scene in speech.scenes] == [
        scene.narration for scene in written.scenes
    ]
    assert await buyer.steps(video) == {
        "script": (Step("openai", "used"),),
        "media": (Step("pexels", "used"),),
        "audio": (Step("elevenlabs", "used"),),
    }
    calls = await buyer.calls(video)
    assert {call.state for call in calls} == {"settled"}
    paid = [line for line in fakes.lines() if line.provider != "media"]
    assert {UUID(line.reservation) for line in paid} == {call.id for call in calls}
    assert await buyer.spent_usd(video) == billed_usd(paid, {call.id: call.model for call in calls}) > 0


@pytest.mark.parametrize(
    ("failing", "stage", "expected"),
    [
        (("openai",), "script", [("openai", "failed"), ("local", "used")]),
        (("pexels",), "media", [("pexels", "failed"), ("local", "used")]),
        (("elevenlabs",), "audio", [("elevenlabs", "failed"), ("google", "used")]),
        (("elevenlabs", "google"), "audio", [("elevenlabs", "failed"), ("google", "failed"), ("local", "used")]),
    ],
)
async def test_where_a_provider_fails_the_next_one_is_used_and_both_are_recorded(
    buyer: Buyer, fakes: Fakes, failing: tuple[str, ...], stage: str, expected: list[tuple[str, str]]
) -> None:
    fakes.order(*(msgspec.convert({"provider": name, "kind": "wrong_key", "count": 0}, Fault) for name in failing))
    video = await buyer.video()
    await buyer.do(video)
    steps = await buyer.steps(video)
    assert outcomes(steps[stage]) == expected
    assert all(step.reason for step in steps[stage] if step.outcome != "used")
    others = {name: outcomes(told) for name, told in steps.items() if name != stage}
    assert all(told[-1] != ("local", "used") for told in others.values()), others
    assert all(not line.billed for line in fakes.lines() if line.provider in failing)


async def test_a_picture_that_cannot_be_found_is_generated_for_its_scene_alone(buyer: Buyer, fakes: Fakes) -> None:
    fakes.order(Fault("pexels", "empty", count=1))
    video = await buyer.video(notes="", length_s=20.0)
    await buyer.do(video, "script", "media")
    footage = await buyer.left(video, "media", Footage)
    assert {picture.scene for picture in footage.pictures if not picture.credit} == {0}
    assert outcomes(footage.made_by) == [("pexels", "failed"), ("local", "used"), ("pexels", "used")]


@pytest.mark.slow
async def test_clips_are_shown_beside_photos_with_their_makers_named_and_nothing_else_of_the_file(
    processes: Processes, fakes: Fakes
) -> None:
    buyer = Buyer(await processes("script", providers=fakes.settings(clips=0.5)))
    video = await buyer.video(notes="", length_s=20.0)
    await buyer.do(video, "script", "media")
    footage = await buyer.left(video, "media", Footage)
    clips = [picture for picture in footage.pictures if picture.kind == "clip"]
    assert [clip.scene for clip in clips] == list(range(0, footage.pictures[-1].scene + 1, 2))
    assert {picture.scene for picture in footage.pictures} == set(range(footage.pictures[-1].scene + 1))
    for clip in clips:
        assert (clip.width, clip.height) == (1280, 720)
        assert clip.credit.startswith("Video by Agnes")
        assert "Pexels License" in clip.licence
    copied = buyer.stored(clips[0])
    assert copied[4:8] == b"ftyp"
    assert pictures.OWNER.encode() not in copied
    searches = [call for call in await buyer.calls(video) if call.service == "pexels"]
    assert len(searches) >= len({picture.scene for picture in footage.pictures})
    assert {call.state for call in searches} == {"settled"}


async def test_where_no_clip_is_found_a_photo_is_shown(processes: Processes, fakes: Fakes) -> None:
    buyer = Buyer(await processes("script", providers=fakes.settings(clips=0.01)))
    fakes.order(Fault("pexels", "empty", count=1))
    video = await buyer.video(notes="", length_s=10.0)
    await buyer.do(video, "script", "media")
    footage = await buyer.left(video, "media", Footage)
    assert {picture.kind for picture in footage.pictures} == {"still"}
    assert all(picture.credit.startswith("Photo by") for picture in footage.pictures)
    assert outcomes(footage.made_by) == [("pexels", "used")]


async def test_economy_mode_at_least_halves_the_price(buyer: Buyer) -> None:
    dear, cheap = await buyer.video(notes="", key="a"), await buyer.video(notes="", key="b", length_s=11.0)
    await buyer.do(dear)
    buyer.mode("economy")
    await buyer.do(cheap)
    assert 0 < await buyer.spent_usd(cheap) <= await buyer.spent_usd(dear) / 2
    assert outcomes((await buyer.steps(cheap))["audio"]) == [("elevenlabs, economy", "used")]


async def test_a_mode_changes_the_next_call_and_not_the_last(
    buyer: Buyer, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = await buyer.video(notes="", length_s=20.0)
    await buyer.do(video, "script")
    put = buyer.process.artifacts.put

    def put_and_switch(source: Path, path: str) -> object:  # the first scene is stored while its bill is settled
        buyer.mode("economy")
        return put(source, path)

    monkeypatch.setattr(buyer.process.artifacts, "put", put_and_switch)
    await buyer.do(video, "audio")
    models = [line.model for line in fakes.lines("elevenlabs")]
    assert models[0] == Providers().elevenlabs_model
    assert set(models[1:]) == {Providers().elevenlabs_economy_model}


async def test_a_call_that_does_not_fit_is_tried_in_economy_then_given_to_the_next(
    processes: Processes, fakes: Fakes
) -> None:
    limits = Limits(video_budget_usd=Decimal("0.012"))
    buyer = Buyer(await processes("script", providers=fakes.settings(), limits=limits))
    video = await buyer.video()
    await buyer.do(video)
    steps = await buyer.steps(video)
    assert outcomes(steps["script"]) == [("openai", "passed_over"), ("openai, economy", "used")]
    assert "cost_cap" in steps["script"][0].reason
    assert outcomes(steps["audio"])[-1] in {("google", "used"), ("google, economy", "used"), ("local", "used")}
    assert await buyer.spent_usd(video) <= Decimal("0.012")


async def test_a_video_that_fits_no_budget_fails_with_its_reason_and_sends_nothing(
    processes: Processes, fakes: Fakes
) -> None:
    settings = msgspec.structs.replace(fakes.settings(), script_chain="openai")
    limits = Limits(video_budget_usd=Decimal("0.0001"))
    buyer = Buyer(await processes("script", providers=settings, limits=limits))
    video = await buyer.video()
    await buyer.do(video, "script")
    status = await value(
        buyer.process.postgres, "SELECT status || ': ' || reason FROM video_queue WHERE id = $1", video
    )
    assert str(status).startswith("failed: ")
    assert "cost_cap" in str(status)
    assert fakes.lines() == []


async def test_a_voice_that_quality_refuses_is_not_handed_out_again(
    buyer: Buyer, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> Inspection:
        return Inspection(passed=False, findings=(Finding("silence", passed=False, measured="3 s", allowed="1.5 s"),))

    first, again = await buyer.video(notes="", key="a"), await buyer.video(notes="", key="b")
    await buyer.do(first)
    monkeypatch.setattr("actors.child.run", refuse)
    film = Film(
        video=(await buyer.left(first, "audio", Speech)).audio,
        plan=(await buyer.left(first, "audio", Speech)).audio,
        width=1,
        height=1,
        fps=30,
        frames=1,
        duration_s=1.0,
        encoder="none",
    )
    await buyer.finish(first, "render", film)
    await Stage(buyer.process, quality.check, flow.STAGE["quality"])(first, "quality-1")
    before = len(fakes.lines("openai")), len(fakes.lines("elevenlabs"))
    await buyer.do(again)
    assert len(fakes.lines("openai")) == before[0]
    assert len(fakes.lines("elevenlabs")) > before[1]
    assert any(call.second_purchase for call in await buyer.calls(again))
