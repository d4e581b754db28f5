"""Requests: what is understood, what is refused, and how the refusal helps."""

import shlex

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.documents import Brief
from schema.errors import RefusedError
from schema.events.request import Request, parse
from schema.settings.limits import Limits

LIMITS = Limits()
LINE = "redis-cli XADD stream:intake '*'"
TOO_LONG = "long text goes into notes"
EXAMPLE = f'{LINE} topic "Why octopuses have three hearts"'

NAMES = st.sampled_from([b"topic", b"notes", b"length", b"aspect", b"priority", b"key", b"type", b"voice", b"style"])
ENTRIES = st.dictionaries(
    NAMES | st.binary(max_size=12), st.binary(max_size=40) | st.text().map(str.encode), max_size=9
)


def raw(**fields: str) -> dict[bytes, bytes]:
    """An entry as Redis hands it over."""
    return {name.encode(): value.encode() for name, value in fields.items()}


def answer_to(entry: dict[bytes, bytes], limits: Limits = LIMITS) -> Request | RefusedError:
    """What comes of this entry; any other exception fails the test."""
    try:
        return parse(entry, limits)
    except RefusedError as error:
        return error


def refusal(entry: dict[bytes, bytes], limits: Limits = LIMITS) -> RefusedError:
    """How this entry is refused."""
    answer = answer_to(entry, limits)
    assert isinstance(answer, RefusedError)
    return answer


def pasted(hint: str) -> dict[bytes, bytes]:
    """The entry that a shell would make of a hint."""
    words = shlex.split(hint)[4:]
    return {name.encode(): value.encode() for name, value in zip(words[::2], words[1::2], strict=True)}


def test_a_topic_is_enough() -> None:
    expected = Request(key=None, priority=5, brief=Brief(topic="Why octopuses have three hearts"))
    assert parse(raw(topic=" Why octopuses have three hearts\n"), LIMITS) == expected


def test_every_option_is_understood() -> None:
    entry = raw(
        topic="Tides",
        notes="First line.\n\tSecond — line.\n",
        style="calm",
        voice="anna",
        aspect="9:16",
        length="1m30s",
        priority="9",
        key="order 17",
        type="video.requested",
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    )
    brief = Brief("Tides", "First line.\n\tSecond — line.\n", "calm", "anna", "9:16", 90.0)
    expected = Request("order 17", 9, brief, "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    assert parse(entry, LIMITS) == expected


def test_unknown_fields_are_kept_and_an_id_of_the_senders_own_is_one() -> None:
    assert parse(raw(topic="Tides", campaign="May", id="42"), LIMITS).brief.extra == {"campaign": "May", "id": "42"}


def test_an_empty_option_counts_as_not_given() -> None:
    assert parse(raw(topic="Tides", length="", aspect=" ", key="", extra=""), LIMITS) == parse(
        raw(topic="Tides"), LIMITS
    )


@pytest.mark.parametrize(
    ("length", "length_s"),
    [("90s", 90), ("90", 90), ("2m", 120), ("1m30s", 90), ("1m30", 90), (" 45S ", 45), ("10", 10), ("10m", 600)],
)
def test_a_length_may_be_written_as_people_write_it(length: str, length_s: float) -> None:
    assert parse(raw(topic="Tides", length=length), LIMITS).brief.length_s == length_s


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ({}, "topic is missing, the one field that a request needs; got no field that says anything", EXAMPLE),
        (raw(title="Tides"), "topic is missing, the one field that a request needs; got title", EXAMPLE),
        (raw(topic=" \n"), "topic is empty: say in a few words what the video is about", EXAMPLE),
        (raw(Topic="Tides"), "'Topic' is no field name: names are in lower_snake; did you mean topic?", EXAMPLE),
        (
            raw(topic="Tides", aspect="4:3"),
            "aspect is '4:3': expected 16:9 (wide) or 9:16 (tall)",
            f"{LINE} topic Tides aspect 16:9",
        ),
        (
            raw(topic="Tides", length="a while"),
            "length is 'a while': expected seconds or minutes, such as 90s, 2m or 1m30s",
            f"{LINE} topic Tides length 90s",
        ),
        (
            raw(topic="Tides", length="9s"),
            "length is '9s', 9 seconds: expected 10s to 10m",
            f"{LINE} topic Tides length 90s",
        ),
        (
            raw(topic="Tides", length="11m"),
            "length is '11m', 660 seconds: expected 10s to 10m",
            f"{LINE} topic Tides length 90s",
        ),
        (
            raw(topic="Tides", priority="10"),
            "priority is '10': expected 0 to 9, higher first",
            f"{LINE} topic Tides priority 5",
        ),
        (
            raw(topic="Tides", notes="x" * 10_000_000),
            "notes are 10,000,000 bytes: at most 200,000 are allowed (YTEMPIRE_NOTES_MAX_BYTES)",
            f'{LINE} topic Tides notes "The text to build the narration from"',
        ),
        (
            {b"topic": b"Tides", b"notes": b"caf\xe9"},
            "notes is not UTF-8: byte 0xe9 at offset 3; send it as UTF-8 text",
            f"{LINE} topic Tides",
        ),
        (
            {b"topic": b"caf\xe9"},
            "topic is not UTF-8: byte 0xe9 at offset 3; send it as UTF-8 text",
            EXAMPLE,
        ),
        (
            raw(topic="x" * 301),
            "topic is 301 characters: at most 300 are allowed (YTEMPIRE_TOPIC_MAX_CHARS); long text goes into notes",
            EXAMPLE,
        ),
        (
            raw(topic="Ti\tdes"),
            "topic has the control character U+0009 at position 2: send plain text",
            EXAMPLE,
        ),
        (
            raw(topic="Tides", notes="a\0b"),
            "notes has the control character U+0000 at position 1: send plain text",
            f"{LINE} topic Tides",
        ),
        (
            raw(topic="Tides", mood="\0"),
            "mood has the control character U+0000 at position 0: send plain text",
            f"{LINE} topic Tides",
        ),
        (
            raw(topic="Tides", key="k" * 201),
            "key is 201 characters: at most 200 are allowed",
            f"{LINE} topic Tides",
        ),
        (
            raw(topic="Tides", type="video.completed"),
            "type is 'video.completed': stream:intake takes video.requested, or no type at all",
            f"{LINE} topic Tides type video.requested",
        ),
        (
            raw(topic="Tides", mood="x" * 70_000),
            f"the fields beside notes are 70,014 bytes (most of them mood): at most 65,536 are allowed; {TOO_LONG}",
            f"{LINE} topic Tides",
        ),
        (
            raw(topic="Tides", **{f"field_{number}": "x" for number in range(51)}),
            "51 fields are not intake's own: at most 50 are kept and passed on",
            f"{LINE} topic Tides",
        ),
    ],
)
def test_a_bad_request_is_told_what_was_got_what_was_expected_and_what_to_type(
    entry: dict[bytes, bytes], message: str, hint: str
) -> None:
    error = refusal(entry)
    assert (str(error), error.hint) == (message, hint)
    assert parse(pasted(error.hint), LIMITS)


def test_the_limits_are_settings() -> None:
    tight = msgspec.structs.replace(LIMITS, topic_max_chars=50, notes_max_bytes=10)
    assert "at most 50 " in str(refusal(raw(topic="x" * 51), tight))
    assert "at most 10 " in str(refusal(raw(topic="Tides", notes="é" * 6), tight))
    assert parse(raw(topic="é" * 50, notes="é" * 5), tight).brief.notes == "é" * 5


@settings(deadline=None, max_examples=300)
@given(ENTRIES)
def test_whatever_comes_in_is_a_request_or_a_refusal_with_a_right_line(entry: dict[bytes, bytes]) -> None:
    answer = answer_to(entry)
    if isinstance(answer, RefusedError):
        assert str(answer)
        assert parse(pasted(answer.hint), LIMITS)
    else:
        assert answer.brief.topic
        assert b"\\u0000" not in msgspec.json.encode(answer.brief)
