"""The wire form: text in, text out, and the line that a person can paste."""

import shlex

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import wire
from schema.errors import RefusedError

PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=wire.SHOWN_CHARS)
FIELDS = st.dictionaries(PLAIN, PLAIN, max_size=8)


class Parcel(msgspec.Struct, frozen=True):
    """An event of these tests."""

    name: str
    weight: int
    note: str = ""


def test_bytes_become_text() -> None:
    assert wire.text_fields({b"topic": "Ça va".encode()}) == {"topic": "Ça va"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({b"notes": b"abc\xe9"}, "notes is not UTF-8: byte 0xe9 at offset 3; send it as UTF-8 text"),
        ({b"\xfe": b"x"}, "a field name is not UTF-8: byte 0xfe at offset 0; send it as UTF-8 text"),
        ({b"a\nb": b"\xff"}, "a… is not UTF-8: byte 0xff at offset 0; send it as UTF-8 text"),
    ],
)
def test_bytes_that_are_no_text_are_refused_by_field_and_offset(raw: dict[bytes, bytes], message: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        wire.text_fields(raw)
    assert str(refusal.value) == message


def test_a_struct_travels_flat_without_its_empty_options() -> None:
    assert wire.to_fields(Parcel("lamp", 3)) == {"name": "lamp", "weight": "3"}
    assert wire.to_fields(Parcel("", 0, "fragile")) == {"name": "", "weight": "0", "note": "fragile"}


def test_what_cannot_be_encoded_does_not_stop_an_event() -> None:
    assert wire.to_fields(Parcel("file \udcff.png", 1))["name"] == "file ?.png"


def test_unknown_fields_are_ignored_even_when_they_are_no_text() -> None:
    assert wire.from_fields({b"name": b"lamp", b"weight": b"3", b"\xff": b"\xff"}, Parcel) == Parcel("lamp", 3)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({b"name": b"lamp"}, "the field weight is missing"),
        ({b"name": b"lamp", b"weight": b"heavy"}, "weight is 'heavy': expected `int`"),
    ],
)
def test_a_struct_that_cannot_be_read_names_the_field(raw: dict[bytes, bytes], message: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        wire.from_fields(raw, Parcel)
    assert str(refusal.value) == message


def test_the_line_reads_as_a_person_would_type_it() -> None:
    fields = {"topic": "Why octopuses have three hearts", "length": "90s"}
    expected = """redis-cli XADD stream:intake '*' topic "Why octopuses have three hearts" length 90s"""
    assert wire.line("stream:intake", fields) == expected


@pytest.mark.parametrize("value", ['say "hi"', "it's", "$HOME", "`id`", "wow!", "back\\slash", "*", "", "-x", "#1"])
def test_the_shell_does_not_touch_a_value(value: str) -> None:
    assert shlex.split(wire.line("stream:intake", {"topic": value}))[-1] == value


@given(FIELDS)
def test_a_line_split_by_a_shell_gives_the_fields_back(fields: dict[str, str]) -> None:
    words = shlex.split(wire.line("stream:intake", fields))
    assert words[:4] == ["redis-cli", "XADD", "stream:intake", "*"]
    assert dict(zip(words[4::2], words[5::2], strict=True)) == fields


@given(st.dictionaries(st.text(), st.text(max_size=2_000), max_size=4))
def test_a_line_of_anything_is_one_short_line_that_a_shell_accepts(fields: dict[str, str]) -> None:
    line = wire.line("stream:intake", fields)
    assert not wire.CONTROL.search(line)
    assert all(len(word) <= wire.SHOWN_CHARS + 1 for word in shlex.split(line)[4:])


def test_long_and_many_lined_values_are_shortened() -> None:
    assert wire.shown("one\ntwo") == "one…"
    assert wire.shown("x" * 121) == "x" * 120 + "…"
    assert wire.shown(b"x" * 10_000_000) == "x" * 120 + "…"
    assert wire.shown("x" * 120) == "x" * 120
    assert wire.shown("\x1b[31mred") == "\ufffd[31mred"
