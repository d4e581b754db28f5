from __future__ import annotations

import asyncio
import time

import pytest

from actors.intake import Intake
from schema.settings.limits import Limits
from schema.settings.providers import Providers
from streams import names, receipts
from streams.broker import Delivered
from streams.process import Process
from streams.transport.port import Entry, Publication
from tests.integration.actors.conftest import OnTheBus
from tests.integration.processes import Processes
from tests.integration.record.conftest import value
from tests.integration.streams.workers import PATIENCE_S, Server

NOTES = "Octopuses have three hearts. Two of them serve the gills. " * 4
GOOD = {"topic": "Why octopuses have three hearts", "notes": NOTES}


@pytest.fixture
async def process(processes: Processes) -> Process:
    return await processes("intake")


async def _say(process: Process, fields: dict[str, str], entry_id: str = "1-0") -> tuple[Publication, ...]:
    """What intake publishes when this entry is delivered to it."""
    raw = {name.encode(): text.encode() for name, text in fields.items()}
    entry = Entry(names.INTAKE, entry_id, raw, "intake", names.INTAKE, entry_id)
    return await Intake(process)(Delivered(entry, "test"))


async def _receipt(process: Process, entry_id: str = "1-0") -> dict[str, str]:
    found = await asyncio.to_thread(receipts.read, process.transport, names.receipt_key(entry_id))
    assert found is not None
    return found


async def test_a_request_is_a_row_a_receipt_and_a_notice(process: Process) -> None:
    [notice] = await _say(process, GOOD)
    receipt = await _receipt(process)
    assert receipt["status"] == "waiting"
    assert receipt["place"] == "1"
    assert (notice.stream, str(notice.fields).count(receipt["video"])) == (names.NOTICES, 1)
    assert await value(process.postgres, "SELECT topic FROM video_queue WHERE id = $1", receipt["video"])


async def test_the_same_entry_delivered_again_makes_no_second_video_and_says_nothing_twice(process: Process) -> None:
    await _say(process, GOOD)
    first = await _receipt(process)
    assert await _say(process, GOOD) == ()
    assert (await _receipt(process))["video"] == first["video"]
    assert await value(process.postgres, "SELECT count(*) FROM video_queue") == 1


async def test_the_same_key_twice_is_one_video_and_both_senders_hear_of_it(process: Process) -> None:
    await _say(process, {**GOOD, "key": "mine"}, "1-0")
    await _say(process, {**GOOD, "key": "mine"}, "2-0")
    assert (await _receipt(process, "1-0"))["video"] == (await _receipt(process, "2-0"))["video"]
    assert await value(process.postgres, "SELECT count(*) FROM video_queue") == 1


async def test_a_request_is_taken_during_a_halt(process: Process) -> None:
    process.gate.set("halted")
    await _say(process, GOOD)
    assert (await _receipt(process))["status"] == "waiting"


async def test_a_topic_alone_is_enough_where_there_is_an_article_on_it_and_refused_where_not(process: Process) -> None:
    await _say(process, {"topic": "Why octopuses have three hearts"})
    assert (await _receipt(process))["status"] == "waiting"
    await _say(process, {"topic": "The price of salt in Timbuktu"}, "2-0")
    assert "notes" in (await _receipt(process, "2-0"))["error"]


async def test_what_is_refused_is_kept_with_its_fields_its_reason_and_where_it_came_from(process: Process) -> None:
    [rejected] = await _say(process, {"topic": "", "error": "their own", "x": "y"}, "7-3")
    receipt = await _receipt(process, "7-3")
    assert receipt["status"] == "rejected"
    assert receipt["error"].startswith("topic is empty")
    assert receipt["hint"].startswith("redis-cli XADD stream:intake '*' topic ")
    assert rejected == Publication(
        names.REJECTED,
        {
            b"topic": b"",
            b"error_": b"their own",
            b"x": b"y",
            b"error": receipt["error"].encode(),
            b"hint": receipt["hint"].encode(),
            b"from_stream": b"stream:intake",
            b"from_id": b"7-3",
        },
    )
    row = "SELECT kind || ': ' || error FROM refused_events WHERE from_stream = 'stream:intake' AND from_id = '7-3'"
    assert await value(process.postgres, row) == f"rejected: {receipt['error']}"


async def test_a_style_that_there_is_not_is_refused_with_the_names_of_those_there_are(process: Process) -> None:
    await _say(process, {**GOOD, "style": "nior"})
    receipt = await _receipt(process)
    assert receipt["error"].startswith("style is 'nior': expected one of bold, default, ")
    assert receipt["hint"].endswith("style default")
    await _say(process, {**GOOD, "style": "night"}, "2-0")
    assert (await _receipt(process, "2-0"))["status"] == "waiting"


async def test_beyond_what_may_wait_a_request_is_refused_by_the_name_of_the_setting(processes: Processes) -> None:
    process = await processes("intake", limits=Limits(waiting_capacity=1))
    await _say(process, GOOD, "1-0")
    await _say(process, GOOD, "2-0")
    assert "YTEMPIRE_WAITING_CAPACITY" in (await _receipt(process, "2-0"))["error"]


async def test_beyond_what_may_wait_a_key_that_is_in_the_record_still_finds_its_video(processes: Processes) -> None:
    process = await processes("intake", limits=Limits(waiting_capacity=1))
    await _say(process, {**GOOD, "key": "mine"}, "1-0")
    assert await _say(process, {**GOOD, "key": "mine"}, "2-0") == ()
    assert (await _receipt(process, "2-0"))["video"] == (await _receipt(process, "1-0"))["video"]
    await _say(process, GOOD, "3-0")
    assert (await _receipt(process, "3-0"))["status"] == "rejected"


def test_an_entry_of_ten_thousand_fields_is_rejected_once_and_done_with(
    on_the_bus: OnTheBus, redis_server: Server
) -> None:
    entry_id = redis_server.xadd(names.INTAKE, {"topic": "x", **{f"f{number}": "y" for number in range(10_000)}})
    process = on_the_bus(names.INTAKE_SUBSCRIPTION, Intake, name="intake")
    assert receipts.wait(process.transport, names.receipt_key(entry_id.decode()), PATIENCE_S)
    good = redis_server.xadd(names.INTAKE, GOOD)
    receipt = receipts.wait(process.transport, names.receipt_key(good.decode()), PATIENCE_S)
    assert receipt is not None
    assert receipt["status"] == "waiting"
    _drained(redis_server)
    assert [len(fields) for _, fields in redis_server.xrange(names.REJECTED)] == [10_005]


def _drained(server: Server) -> None:
    """Waits until intake has nothing pending."""
    end_s = time.monotonic() + PATIENCE_S
    while server.xpending(names.INTAKE, "intake")["pending"]:
        assert time.monotonic() < end_s, "intake never acknowledged"
        time.sleep(0.01)


async def test_a_topic_alone_is_enough_where_a_model_can_write(processes: Processes) -> None:
    await _say(await processes("intake"), {"topic": "Why cats purr"})
    refused = await _receipt(processes.made[-1])
    await _say(await processes("intake", providers=Providers(openai_api_key="k")), {"topic": "Why cats purr"}, "2-0")
    assert "notes" in refused["error"]
    assert (await _receipt(processes.made[-1], "2-0"))["status"] == "waiting"


async def test_other_languages_are_taken_where_a_paid_voice_speaks(processes: Processes) -> None:
    german = {"topic": "Warum Katzen schnurren", "notes": "Die Katze schnurrt, wenn sie sich wohl fühlt. " * 10}
    await _say(await processes("intake"), german)
    refused = await _receipt(processes.made[-1])
    await _say(await processes("intake", providers=Providers(google_api_key="k")), german, "2-0")
    assert "error" in refused
    assert (await _receipt(processes.made[-1], "2-0"))["status"] == "waiting"
