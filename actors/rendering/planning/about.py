"""What a film says of itself: chapters, title, description, whom its pictures are from, language, date.

Written in the words of the script and the footage; nothing of the machine that made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from actors.rendering.order import FilmOrder
from actors.rendering.planning.plan import Plan

#: Players and video sites show no shorter chapter well, seconds.
_SHORTEST_S: Final = 1.0
#: MP4 names languages by three letters (ISO 639-2/T); the first part of a BCP 47 tag has two where there are two.
_PAIRS: Final = (
    "ara:ar ben:bn bul:bg cat:ca ces:cs dan:da deu:de ell:el eng:en est:et fas:fa fin:fi fra:fr heb:he hin:hi hrv:hr "
    "hun:hu ind:id isl:is ita:it jpn:ja kor:ko lav:lv lit:lt msa:ms nld:nl nor:no nob:nb nno:nn pol:pl por:pt ron:ro "
    "rus:ru slk:sk slv:sl spa:es srp:sr swa:sw swe:sv tam:ta tel:te tha:th tur:tr ukr:uk urd:ur vie:vi zho:zh"
)
_LETTERS: Final = {tag: code for code, _, tag in (pair.partition(":") for pair in _PAIRS.split())}
_UNKNOWN: Final = "und"


class Chapter(msgspec.Struct, frozen=True):
    """A stretch of the film with a name of its own."""

    title: str
    start_ms: int
    end_ms: int


class About(msgspec.Struct, frozen=True):
    """All of it; `tags` by FFmpeg's names, `language` by ISO 639-2."""

    chapters: tuple[Chapter, ...] = ()
    tags: dict[str, str] = {}
    language: str = _UNKNOWN


def about(order: FilmOrder, plan: Plan) -> About:
    """What this film says of itself."""
    script = order.script
    authors = dict.fromkeys(_line(picture.credit) for picture in order.footage.pictures)
    tags = {
        "title": _line(script.title),
        "description": script.description.strip(),
        "comment": "\n".join(_credits(order)),
        "artist": ", ".join(filter(None, authors)),
        "keywords": ", ".join(map(_line, script.tags)),
        "date": order.date,
    }
    return About(tuple(_chapters(order, plan)), {name: text for name, text in tags.items() if text}, _language(order))


def _chapters(order: FilmOrder, plan: Plan) -> Iterator[Chapter]:
    """One for each heading, from the middle of the transition to its first picture on; the first begins the film."""
    begins: dict[int, int] = {}
    for shot in plan.shots:
        begins.setdefault(shot.scene, shot.first + shot.fade // 2)
    headings = [(begins.get(place), _line(scene.heading)) for place, scene in enumerate(order.script.scenes)]
    kept: list[tuple[int, str]] = []
    for frame, heading in [(0, _line(order.script.title)), *headings]:
        if frame is None or not heading:
            continue
        if kept and frame - kept[-1][0] < _SHORTEST_S * plan.fps:
            kept.pop()  # what begins with the film is its first heading, not its title
            kept.append((0 if not kept else frame, heading))
        else:
            kept.append((frame, heading))
    ends = [*(frame for frame, _ in kept[1:]), plan.frames] if kept else []
    for (frame, heading), end in zip(kept, ends, strict=True):
        yield Chapter(heading, *(round(at * 1000 / plan.fps) for at in (frame, end)))


def _credits(order: FilmOrder) -> Iterator[str]:
    said = dict.fromkeys((_line(picture.credit), _line(picture.licence)) for picture in order.footage.pictures)
    for credit, licence in said:
        if credit or licence:
            yield f"{credit} ({licence})" if credit and licence else credit or licence


def _language(order: FilmOrder) -> str:
    first = order.script.language.partition("-")[0].casefold()
    return first if first in _LETTERS.values() else _LETTERS.get(first, _UNKNOWN)


def _line(text: str) -> str:
    return " ".join(text.split())
