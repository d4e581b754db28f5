"""Ranges of a file against a plain model: a list of the bytes' places."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.gateway.files import Span, UnsatisfiableRangeError, blocks, span

_PLACES = st.integers(0, 60)


def _model(first: int | None, last: int | None, size: int) -> list[int] | None:
    """The places that RFC 9110 means; None: the header is to be passed over."""
    if first is None and last is None:
        return None
    if first is None:
        return list(range(size))[-last:] if last else []
    if last is not None and last < first:
        return None
    return [place for place in range(size) if first <= place and (last is None or place <= last)]


@given(st.none() | _PLACES, st.none() | _PLACES, st.integers(0, 50))
def test_a_span_is_what_a_plain_model_says(first: int | None, last: int | None, size: int) -> None:
    asked = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    expected = _model(first, last, size)
    if expected == []:
        with pytest.raises(UnsatisfiableRangeError, match=f"the file has {size} bytes") as raised:
            span(asked, size)
        assert raised.value.size_bytes == size
        return
    found = span(asked, size)
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert list(range(found.first, found.last + 1)) == expected
    content = bytes(range(size))
    assert b"".join(blocks(io.BytesIO(content), found)) == bytes(expected)


@settings(max_examples=50)
@given(st.text(max_size=40), st.integers(0, 50))
def test_no_header_breaks_it(asked: str, size: int) -> None:
    try:
        found = span(asked, size)
    except UnsatisfiableRangeError:
        return
    assert found is None or 0 <= found.first <= found.last < size


def test_a_span_knows_its_size_and_the_file_is_closed_after_it() -> None:
    file = io.BytesIO(b"0123456789")
    assert b"".join(blocks(file, Span(2, 4))) == b"234"
    assert (file.closed, Span(2, 4).size) == (True, 3)
