"""Acceptance 3: whatever is published to the intake gets an answer, and never stands in the way of the next event."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from streams.transport.connection import Connection
from tests.factory.running import STUBS, Factory, factory
from tests.integration.streams.workers import Server

pytestmark = pytest.mark.slow

NOTES = "Rivers carry more than water. " * 12
RUSSIAN = "У осьминога три сердца, и два из них качают кровь через жабры, пока он плывёт. " * 3  # noqa: RUF001 - Russian it is
GERMAN = (
    "Der Oktopus hat drei Herzen, und zwei davon pumpen das Blut durch die Kiemen, während das dritte es in den "
    "Körper treibt, und wenn er schwimmt, dann steht es still, so dass er nicht lange schwimmen kann. "
)
Raw = dict[str | bytes, str | bytes]

BAD: dict[str, tuple[Raw, str]] = {
    "a missing topic": ({"notes": NOTES}, "topic is missing"),
    "an empty topic": ({"topic": "  ", "notes": NOTES}, "topic is empty"),
    "an unknown aspect": ({"topic": "Rivers", "notes": NOTES, "aspect": "4:3"}, "aspect is '4:3'"),
    "a length that is none": ({"topic": "Rivers", "notes": NOTES, "length": "soon"}, "length is 'soon'"),
    "notes in Russian": ({"topic": "Rivers", "notes": RUSSIAN}, "Cyrillic"),
    "notes in German": ({"topic": "Rivers", "notes": GERMAN}, "German"),
    "10 MB of notes": ({"topic": "Rivers", "notes": "words " * 1_700_000}, "at most 200,000 are allowed"),
    "bytes that are not UTF-8": ({"topic": b"Riv\xff\xfers", "notes": NOTES}, "topic is not UTF-8: byte 0xff"),
    "60 fields of their own": ({"topic": "Rivers", "notes": NOTES, **{f"f{n}": "x" for n in range(60)}}, "60 fields"),
    "10,000 fields of their own": (
        {"topic": "Rivers", "notes": NOTES, **{f"f{n}": "x" for n in range(10_000)}},
        "at most",
    ),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    """One factory for all that is bad."""
    with factory(tmp_path_factory.mktemp("data"), procfile=STUBS) as started:
        yield started


@pytest.fixture(scope="module")
def server(running: Factory) -> Iterator[Server]:
    """A client that publishes whatever it is told to."""
    connection = Connection(running.redis_url, block_s=1.0)
    yield connection.commands
    connection.close()


def _as_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


@pytest.mark.parametrize("bad", list(BAD))
def test_what_cannot_be_used_is_answered_kept_and_does_not_hold_up_the_next(
    running: Factory, server: Server, bad: str
) -> None:
    fields, wrong = BAD[bad]
    entry = server.xadd("stream:intake", fields).decode()
    next_entry = running.submit(topic=f"The next after {bad}", notes=NOTES)
    receipt = running.receipt(entry)
    assert receipt["status"] == "rejected"
    assert wrong in receipt["error"]
    assert receipt["hint"]
    said = {name.encode(): receipt[name].encode() for name in ("error", "hint")}
    kept = {_as_bytes(name): _as_bytes(value) for name, value in fields.items()}
    wanted = {**kept, **said, b"from_stream": b"stream:intake", b"from_id": entry.encode()}
    assert running.until(lambda: _rejected(server, entry)) == wanted
    assert running.rows("SELECT kind, error, hint FROM refused_events WHERE from_id = $1", entry) == [
        ("rejected", receipt["error"], receipt["hint"])
    ]
    video = running.receipt(next_entry)["video"]
    running.until(lambda: running.rows("SELECT 1 FROM video_queue WHERE id = $1 AND status = 'completed'", video))


def _rejected(server: Server, entry: str) -> dict[bytes, bytes]:
    """How the entry is kept in stream:rejected, if it is."""
    kept: list[dict[bytes, bytes]] = [fields for _, fields in server.xrange("stream:rejected")]
    return next((fields for fields in kept if fields[b"from_id"] == entry.encode()), {})


def test_the_same_key_twice_is_one_video_and_both_senders_get_a_receipt(running: Factory) -> None:
    entries = [running.submit(topic="Rivers", notes=NOTES, key="one and the same") for _ in range(2)]
    first, second = (running.receipt(entry) for entry in entries)
    assert first["video"] == second["video"]
    assert running.rows("SELECT count(*) FROM video_queue WHERE key = 'one and the same'") == [(1,)]


def test_a_hint_pasted_into_a_shell_is_a_request_that_is_taken(running: Factory, server: Server) -> None:
    entry = running.submit(topic="Why octopuses have three hearts", length="soon")
    hint = running.receipt(entry)["hint"]
    command, stream, star, *pairs = shlex.split(hint.removeprefix("redis-cli "))
    assert (command, stream, star) == ("XADD", "stream:intake", "*")
    fixed = server.xadd(stream, dict(zip(pairs[::2], pairs[1::2], strict=True))).decode()
    assert running.receipt(fixed)["status"] != "rejected"
