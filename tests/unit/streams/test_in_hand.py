from __future__ import annotations

import pytest

from streams.transport.in_hand import InHand
from streams.transport.port import Entry


def _entry(number: int, stream: str = "stream:media") -> Entry:
    return Entry(
        stream=stream,
        id=f"{number}-0",
        fields={b"n": b"1"},
        group="render",
        origin_stream=stream,
        origin_id=f"{number}-0",
    )


def test_what_is_beyond_the_budget_is_too_much() -> None:
    in_hand = InHand(2)
    assert in_hand.wait_for_room(0) == 2
    assert in_hand.admit([_entry(1), _entry(2), _entry(3)]) == ([_entry(1), _entry(2)], [_entry(3)])
    assert in_hand.wait_for_room(0) == 0
    in_hand.release([_entry(1)])
    assert in_hand.wait_for_room(0) == 1
    assert in_hand.entries() == [_entry(2)]


def test_an_entry_that_is_in_hand_already_is_not_begun_again_nor_given_away() -> None:
    in_hand = InHand(2)
    in_hand.admit([_entry(1)])
    assert in_hand.admit([_entry(1), _entry(1, "stream:audio")]) == ([_entry(1, "stream:audio")], [])


def test_a_process_that_may_hold_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="budget is 0, expected at least 1"):
        InHand(0)
