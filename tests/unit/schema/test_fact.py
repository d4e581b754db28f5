"""Facts: the same words after a journey, and the reasons for which one is refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema import flow
from schema.errors import RefusedError
from schema.events.fact import Fact, fact_id, from_fields, stamp, to_fields

WORD = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
TEXT = st.text(st.characters(codec="utf-8"))
INSTANT = st.datetimes(timezones=st.just(UTC)).filter(lambda at: at.year >= 1000).map(stamp)
FACTS = st.builds(
    Fact,
    type=st.sampled_from([stage.fact for stage in flow.STAGES]),
    id=WORD,
    video=WORD,
    stage=WORD,
    attempt=st.integers(0, 2**31 - 1),
    at=INSTANT,
    traceparent=TEXT,
    outcome=TEXT,
    reason=TEXT,
)
WRITTEN = Fact("script.written", "V.script.2", "V", "script", 2, "2026-01-31T12:00:00.123Z")


def raw(fields: dict[str, str]) -> dict[bytes, bytes]:
    """Fields as Redis hands them over."""
    return {name.encode(): value.encode() for name, value in fields.items()}


def test_a_fact_travels_flat() -> None:
    assert to_fields(WRITTEN) == {
        "type": "script.written",
        "id": "V.script.2",
        "video": "V",
        "stage": "script",
        "attempt": "2",
        "at": "2026-01-31T12:00:00.123Z",
        "v": "1",
    }


@settings(deadline=None)
@given(FACTS)
def test_a_fact_is_the_same_after_its_journey(fact: Fact) -> None:
    assert from_fields(raw(to_fields(fact))) == fact


def test_the_same_words_have_the_same_id() -> None:
    assert fact_id("V", "script", 2) == fact_id("V", "script", 2) == WRITTEN.id
    assert (
        len({fact_id("V", "script", 2), fact_id("V", "script", 3), fact_id("V", "media", 2), fact_id("W", "script", 2)})
        == 4
    )


def test_fields_of_a_later_program_are_ignored() -> None:
    assert from_fields({**raw(to_fields(WRITTEN)), b"mood": b"\xff"}) == WRITTEN


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": None}, "the field video is missing"),
        ({"attempt": b"two"}, "attempt is 'two': expected `int`"),
        ({"attempt": b"-1"}, "attempt is '-1': expected `int` >= 0"),
        ({"video": b""}, "video is '': expected `str` of length >= 1"),
        ({"video": b"\xff"}, "video is not UTF-8: byte 0xff at offset 0; send it as UTF-8 text"),
    ],
)
def test_a_fact_that_cannot_be_read_is_refused_with_a_right_line(change: dict[str, bytes | None], message: str) -> None:
    fields = raw(to_fields(WRITTEN))
    for name, value in change.items():
        fields.pop(name.encode())
        if value is not None:
            fields[name.encode()] = value
    with pytest.raises(RefusedError) as refusal:
        from_fields(fields)
    assert str(refusal.value) == message
    assert refusal.value.hint.startswith("redis-cli XADD stream:scripts '*' type script.written id VIDEO.script.1")


def test_an_unknown_version_is_refused_by_name_whatever_else_it_says() -> None:
    with pytest.raises(RefusedError, match="v is '2': this program speaks version 1") as refusal:
        from_fields({b"v": b"2", b"words": b"of another kind"})
    assert "upgrade" in refusal.value.hint


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([name.encode() for name in to_fields(WRITTEN)]) | st.binary(max_size=5), st.binary()
    )
)
def test_whatever_comes_in_is_a_fact_or_a_refusal(fields: dict[bytes, bytes]) -> None:
    try:
        hint = from_fields(raw(to_fields(WRITTEN)) | fields) and "understood"
    except RefusedError as error:
        hint = error.hint
    assert hint


def test_a_stamp_is_utc_in_milliseconds() -> None:
    at = datetime(2026, 1, 31, 14, 0, 0, 123999, tzinfo=timezone(timedelta(hours=2)))
    assert stamp(at) == "2026-01-31T12:00:00.123Z"
