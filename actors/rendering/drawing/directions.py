"""The order in which a mixed line is seen: Arabic and Hebrew from the right, Latin inside them from the left.

The Unicode Bidirectional Algorithm (UAX 9) for one line without explicit embeddings, which `fonts.drawable` takes out:
the weak (W), neutral (N1, N2) and implicit (I) rules and the reordering (L2). It does not pair brackets (N0): a bracket
takes the direction of what is around it, or the line's. Mirroring is left to the shaper.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_FROM_RIGHT = frozenset({"R", "AL", "AN"})
_NUMBERS = frozenset({"EN", "AN"})
_STRONG = frozenset({"L", "R", "AL"})
_SEPARATORS = frozenset({"ES", "CS", "ET"})
_SETTLED = frozenset({"L", "R", "EN", "AN"})


class Run(NamedTuple):
    """Characters `first` up to `end` that go the same way."""

    first: int
    end: int
    from_right: bool


def is_from_right(text: str) -> bool:
    """Whether a film with this text is read from the right: most of its letters decide.

    Not each line's first letter, as UAX 9 has it for paragraphs: a line is only a piece of a sentence, which may begin
    with a name from elsewhere.
    """
    kinds = [unicodedata.bidirectional(letter) for letter in text]
    return kinds.count("R") + kinds.count("AL") > kinds.count("L")


def runs(text: str, *, from_right: bool) -> list[Run]:
    """The runs of a line, in the order in which they are seen from left to right; whether it begins at the right."""
    levels = _levels(text, from_right=from_right)
    made, first = [], 0
    for level, group in itertools.groupby(levels):
        end = first + len(list(group))
        made.append((level, Run(first, end, level % 2 == 1)))
        first = end
    for floor in range(max(levels, default=0), 0, -1):
        made = list(_reversed_from(floor, made))
    return [run for _, run in made]


def _reversed_from(floor: int, made: list[tuple[int, Run]]) -> Iterator[tuple[int, Run]]:
    for is_high, group in itertools.groupby(made, lambda run: run[0] >= floor):
        found = list(group)
        yield from reversed(found) if is_high else found


def _levels(text: str, *, from_right: bool) -> list[int]:
    kinds = [unicodedata.bidirectional(letter) or "L" for letter in text]
    if not from_right and _FROM_RIGHT.isdisjoint(kinds):
        return [0] * len(text)
    outside = "R" if from_right else "L"
    _weak(kinds, outside)
    _neutral(kinds, outside)
    if from_right:
        return [1 if kind == "R" else 2 for kind in kinds]
    return [{"L": 0, "R": 1}.get(kind, 2) for kind in kinds]


def _weak(kinds: list[str], outside: str) -> None:
    """Rules W1 to W7, in place."""
    _marks_and_arabic_numbers(kinds, outside)
    _signs_in_numbers(kinds)
    strong = outside
    for place, kind in enumerate(kinds):
        if kind in _SEPARATORS:  # W6
            kinds[place] = "ON"
        elif kind == "EN" and strong == "L":  # W7
            kinds[place] = "L"
        strong = kind if kind in {"L", "R"} else strong


def _marks_and_arabic_numbers(kinds: list[str], outside: str) -> None:
    """Rules W1 to W3."""
    before, strong = outside, outside
    for place, kind in enumerate(kinds):
        if kind in {"NSM", "BN"}:  # W1; what has no width of its own goes with what it follows
            kinds[place] = before
        elif kind == "EN" and strong == "AL":  # W2
            kinds[place] = "AN"
        before = kinds[place]
        strong = before if before in _STRONG else strong
    kinds[:] = ["R" if kind == "AL" else kind for kind in kinds]  # W3


def _signs_in_numbers(kinds: list[str]) -> None:
    """Rules W4 and W5."""
    for place in range(1, len(kinds) - 1):  # W4
        around = {kinds[place - 1], kinds[place + 1]}
        if (kinds[place] == "ES" and around == {"EN"}) or (kinds[place] == "CS" and around in ({"EN"}, {"AN"})):
            kinds[place] = kinds[place - 1]
    place = 0
    for kind, group in itertools.groupby(list(kinds)):  # W5
        end = place + len(list(group))
        if kind == "ET" and "EN" in (*kinds[max(place - 1, 0) : place], *kinds[end : end + 1]):
            kinds[place:end] = ["EN"] * (end - place)
        place = end


def _neutral(kinds: list[str], outside: str) -> None:
    """Rules N1 and N2, in place: between two of one direction a neutral takes it, elsewhere the line's."""
    place, before = 0, outside
    for settled, group in itertools.groupby(list(kinds), lambda kind: kind in _SETTLED):
        end = place + len(list(group))
        if settled:
            before = _direction(kinds[end - 1])
        else:
            after = _direction(kinds[end]) if end < len(kinds) else outside
            kinds[place:end] = [before if before == after else outside] * (end - place)
        place = end


def _direction(kind: str) -> str:
    return "R" if kind in _NUMBERS else kind
