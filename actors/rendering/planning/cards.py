"""When which card is shown: the title, the scenes' headings, whose picture it is, and the end.

Guarantees that a card stays long enough to be read or is not shown, that nothing is beside the title or the end, and
that everyone who is to be credited is named at the end, whether or not their picture stayed long enough for it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final

from actors.rendering.order import FilmOrder
from actors.rendering.planning.plan import Card, Shot

_CHAPTER_S, _CREDIT_S = 3.2, 4.0
#: A title stays as long as it takes to read, within these, so that captions are not read beside it for long; seconds.
_TITLE_MIN_S, _TITLE_MAX_S, _TITLE_S_PER_WORD = 2.2, 3.4, 0.25
#: What cannot stay this long only disturbs, seconds.
_LEAST_S: Final = 1.0
#: More names than this end in "and others".
_MOST_NAMED: Final = 12
_ADDRESS: Final = re.compile(r"\s*\(https?://\S+\)")
_BY_ON: Final = re.compile(r"(?P<kind>Photo|Video) by (?P<who>.+) on (?P<where>[^ ]+)")


def cards(order: FilmOrder, shots: Sequence[Shot], bounds: Sequence[int], end: tuple[int, int]) -> list[Card]:
    """All cards of a film; `bounds` are the frames where scenes begin, `end` those of its last card."""
    title = _plain(order.script.title)
    reading_s = min(max(1.0 + _TITLE_S_PER_WORD * len(title.split()), _TITLE_MIN_S), _TITLE_MAX_S)
    shown = [Card("title", title, 0, min(round(reading_s * order.video.fps), end[0]))] if title else []
    span = (shown[0].end if shown else 0, end[0])
    shown += _chapters(order, bounds, span)
    shown += _credits(order, shots, span)
    last = "\n".join(filter(None, (title, sources(order))))
    return [*shown, Card("outro", last, *end)] if last and end[1] - end[0] >= order.video.fps * _LEAST_S else shown


def sources(order: FilmOrder) -> str:
    """Everyone whose pictures are shown, each once; empty where all were made here."""
    told = list(dict.fromkeys(credited(picture.credit) for picture in order.footage.pictures if picture.credit))
    by_kind: dict[tuple[str, str], list[str]] = {}
    for words in told:
        match = _BY_ON.fullmatch(words)
        key, name = ((match["kind"], match["where"]), match["who"]) if match else ((words, ""), "")
        by_kind.setdefault(key, []).append(name)
    return " · ".join(_together(kind, names, where) for (kind, where), names in by_kind.items())


def credited(credit: str) -> str:
    """A credit as it is shown: without the address that nobody can click on."""
    return _ADDRESS.sub("", _plain(credit))


def _together(kind: str, names: Sequence[str], where: str) -> str:
    if not where:
        return kind
    more = [] if len(names) <= _MOST_NAMED else ["others"]
    *first, last = [*names[:_MOST_NAMED], *more]
    return f"{kind}s by {', '.join(first)} and {last} on {where}" if first else f"{kind} by {last} on {where}"


def _chapters(order: FilmOrder, bounds: Sequence[int], span: tuple[int, int]) -> list[Card]:
    fps, title = order.video.fps, _plain(order.script.title)
    found = []
    for scene, (begin, end) in zip(order.script.scenes, itertools.pairwise(bounds), strict=True):
        heading, first = _plain(scene.heading), max(begin, span[0])
        last = min(first + round(_CHAPTER_S * fps), end, span[1])
        # A heading that repeats the title says nothing.
        if heading and heading.casefold() != title.casefold() and last - first >= fps * _LEAST_S:
            found.append(Card("chapter", heading, first, last))
    return found


def _credits(order: FilmOrder, shots: Sequence[Shot], span: tuple[int, int]) -> list[Card]:
    fps, pictures = order.video.fps, order.footage.pictures
    found: list[Card] = []
    for place, shot in enumerate(shots):
        first = max(shot.first + shot.fade, span[0], found[-1].end if found else 0)
        stays = shots[place + 1].first if place + 1 < len(shots) else shot.end
        last = min(first + round(_CREDIT_S * fps), stays, span[1])
        credit = credited(pictures[shot.picture].credit)
        said = bool(found) and found[-1].text == credit
        if credit and not said and last - first >= fps * _LEAST_S:
            found.append(Card("credit", credit, first, last))
    return found


def _plain(text: str) -> str:
    return " ".join(text.split())
