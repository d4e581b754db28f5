"""Rejections lose nothing, receipts say what a sender needs."""

from hypothesis import given
from hypothesis import strategies as st

from schema.events.notice import Notice, accepted, applied, refused, rejection, to_fields

OURS = (b"error", b"hint", b"from_stream", b"from_id")


def test_a_rejection_keeps_the_fields_and_adds_the_reason() -> None:
    fields = rejection("topic is missing", "type this", "stream:intake", "7-0", {b"title": b"Tides", b"\xff": b"\xfe"})
    assert fields == {
        b"title": b"Tides",
        b"\xff": b"\xfe",
        b"error": b"topic is missing",
        b"hint": b"type this",
        b"from_stream": b"stream:intake",
        b"from_id": b"7-0",
    }


def test_a_field_that_bears_one_of_our_names_is_kept_beside_ours() -> None:
    fields = rejection("ours", "", "s", "1-0", {b"error": b"theirs", b"error_": b"theirs too"})
    assert (fields[b"error"], fields[b"error_"], fields[b"error__"]) == (b"ours", b"theirs too", b"theirs")


@given(st.dictionaries(st.sampled_from([*OURS, b"error_", b"error__", b"hint_"]) | st.binary(max_size=4), st.binary()))
def test_no_value_is_lost_in_a_rejection(raw: dict[bytes, bytes]) -> None:
    fields = rejection("e", "h", "s", "1-0", raw)
    assert len(fields) == len(raw) + len(OURS)
    assert [fields[name] for name in OURS] == [b"e", b"h", b"s", b"1-0"]
    kept = [value for name, value in fields.items() if name not in OURS]
    assert sorted(kept) == sorted(raw.values())


def test_receipts_are_flat_text() -> None:
    assert accepted("V", 3, "queued") == {"status": "queued", "video": "V", "place": "3"}
    assert refused("why", "type this") == {"status": "rejected", "error": "why", "hint": "type this"}
    assert applied("halt", "halted") == {"status": "applied", "type": "halt", "gate": "halted"}


def test_a_notice_says_what_there_is_to_say() -> None:
    notice = Notice("redis.wiped", "2026-01-31T12:00:00.000Z", "render", reason="NOGROUP")
    assert to_fields(notice) == {
        "type": "redis.wiped",
        "at": "2026-01-31T12:00:00.000Z",
        "by": "render",
        "reason": "NOGROUP",
    }
