from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from actors.rendering.order import FilmOrder
from actors.rendering.planning.about import about
from actors.rendering.planning.plan import Plan
from actors.rendering.planning.timeline import plan
from schema.documents import Footage
from tests.unit.rendering.orders import order

LONG = "Octopuses have three hearts, and two of them rest while the third one works."


def planned(folder: Path, *scenes: tuple[str, str], title: str = "Hearts") -> tuple[FilmOrder, Plan]:
    asked = order(folder, scenes=scenes, title=title)
    return asked, plan(asked, asked.speech.duration_s)


def test_each_heading_is_a_chapter_and_all_of_the_film_is_in_one(tmp_path: Path) -> None:
    asked, film = planned(tmp_path, ("One", LONG), ("", LONG), ("Three", LONG))
    chapters = about(asked, film).chapters
    assert [chapter.title for chapter in chapters] == ["One", "Three"]
    cut = next(shot.first + shot.fade // 2 for shot in film.shots if shot.scene == 2)
    assert [(chapter.start_ms, chapter.end_ms) for chapter in chapters] == [
        (0, round(cut * 1000 / film.fps)),
        (round(cut * 1000 / film.fps), round(film.duration_s * 1000)),
    ]


def test_what_comes_before_the_first_heading_is_named_after_the_film(tmp_path: Path) -> None:
    asked, film = planned(tmp_path, ("", LONG), ("Two", LONG))
    assert [chapter.title for chapter in about(asked, film).chapters] == ["Hearts", "Two"]


def test_a_film_without_words_for_it_has_no_chapters(tmp_path: Path) -> None:
    asked, film = planned(tmp_path, ("", LONG), title="")
    assert about(asked, film).chapters == ()


def test_whom_the_pictures_are_from_is_said_once_with_their_licence(tmp_path: Path) -> None:
    asked, film = planned(tmp_path, ("One", LONG), ("Two", LONG), ("Three", LONG))
    first, second, third = asked.footage.pictures
    credited = (
        replace(first, credit="Ann at Pexels", licence="Pexels License"),
        replace(second, credit="Ann at Pexels", licence="Pexels License"),
        third,
    )
    asked = replace(
        asked,
        footage=Footage(credited),
        date="2026-11-25",
        script=replace(asked.script, description=" Why?\n", tags=("sea", "hearts"), language="pt-BR"),
    )
    said = about(asked, film)
    assert said.language == "por"
    assert said.tags == {
        "title": "Hearts",
        "description": "Why?",
        "comment": "Ann at Pexels (Pexels License)",
        "artist": "Ann at Pexels",
        "keywords": "sea, hearts",
        "date": "2026-11-25",
    }
    assert about(replace(asked, script=replace(asked.script, language="x-klingon")), film).language == "und"
