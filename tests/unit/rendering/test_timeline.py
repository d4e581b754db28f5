from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.rendering import styles
from actors.rendering.order import FilmOrder
from actors.rendering.planning.clipping import Usable
from actors.rendering.planning.plan import Plan
from actors.rendering.planning.timeline import LEAD_IN_S, plan
from schema.documents import Footage, SpokenScene, Word
from schema.errors import PermanentError
from tests.unit.rendering.orders import order

LONG = (("One", "word " * 60), ("Two", "word " * 9), ("Three", "word " * 30))


@pytest.fixture
def asked(tmp_path: Path) -> FilmOrder:
    return order(tmp_path)


def planned(asked: FilmOrder) -> Plan:
    return plan(asked, asked.speech.duration_s)


def with_words(asked: FilmOrder, *words: Word) -> FilmOrder:
    """The order with other words in its first scene."""
    scenes = (SpokenScene(0.0, 1.0, words), *asked.speech.scenes[1:])
    return replace(asked, speech=replace(asked.speech, scenes=scenes))


def test_every_frame_shows_one_picture_or_a_crossfade_of_two(tmp_path: Path) -> None:
    film = planned(order(tmp_path, scenes=LONG))
    shown = [sum(shot.first <= frame < shot.end for shot in film.shots) for frame in range(film.frames)]
    assert set(shown) == {1, 2}
    for before, after in itertools.pairwise(film.shots):
        assert before.end == after.first + after.fade


def test_one_picture_does_not_stay_with_one_move_for_long(tmp_path: Path) -> None:
    film = planned(order(tmp_path, scenes=LONG))
    style = styles.named("default", "16:9")
    assert max(shot.end - shot.first for shot in film.shots) <= (style.shot_max_s + style.transition_s) * film.fps + 1
    assert all(before.move.kind != after.move.kind for before, after in itertools.pairwise(film.shots))


def in_style(monkeypatch: pytest.MonkeyPatch, **fields: object) -> None:
    """Every style is now the default one but for these."""
    style = replace(styles.named("default", "16:9"), **fields)
    monkeypatch.setattr(styles, "named", lambda *_: style)


@pytest.fixture(scope="module")
def any_order(tmp_path_factory: pytest.TempPathFactory) -> FilmOrder:
    return order(tmp_path_factory.mktemp("any"), scenes=[("", "word")])


def of_lengths(asked: FilmOrder, lengths: Sequence[float], pictures: int = 1) -> FilmOrder:
    """The order with silent scenes of so many seconds, and so many pictures in each."""
    ends = list(itertools.accumulate(lengths))
    told = tuple(SpokenScene(end - length, end, ()) for length, end in zip(lengths, ends, strict=True))
    places = range(len(told))
    footage = Footage(tuple(replace(asked.footage.pictures[0], scene=scene) for scene in places) * pictures)
    script = replace(asked.script, scenes=asked.script.scenes * len(told))
    speech = replace(asked.speech, scenes=told, duration_s=ends[-1])
    return replace(
        asked, script=script, speech=speech, footage=footage, pictures=asked.pictures * len(footage.pictures)
    )


def test_transitions_are_those_of_the_style_and_never_the_same_twice(
    any_order: FilmOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_style(monkeypatch, transitions=("cut", "fade", "wipe_left"), transition_s=0.4)
    asked = of_lengths(any_order, [1.0] * 40)
    film = planned(asked)
    chosen = [shot.transition for shot in film.shots]
    assert all(before != after for before, after in itertools.pairwise(chosen[1:]))
    assert {(shot.transition, shot.fade) for shot in film.shots} == {("cut", 0), ("fade", 12), ("wipe_left", 12)}
    assert planned(replace(asked, seed=8)).shots != film.shots


def test_two_views_of_one_picture_fade_into_each_other(any_order: FilmOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    in_style(monkeypatch, transitions=("wipe_left", "wipe_up"), shot_max_s=3.0)
    film = planned(of_lengths(any_order, [12.0]))
    assert len(film.shots) > 3
    assert {shot.transition for shot in film.shots[1:]} == {"fade"}


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.sampled_from([0.0, 0.02, 1 / 30, 0.1, 0.4, 2.1, 9.0]), min_size=1, max_size=8),
    pictures=st.integers(1, 3),
    transition_s=st.sampled_from([0.0, 0.03, 0.5, 3.0]),
    shot_max_s=st.sampled_from([0.5, 2.5, 8.0]),
    seed=st.integers(0, 9),
)
def test_any_lengths_of_scenes_make_shots_without_gaps_and_two_at_most(  # noqa: PLR0917 - what is given varies
    any_order: FilmOrder, lengths: list[float], pictures: int, transition_s: float, shot_max_s: float, seed: int
) -> None:
    asked = replace(of_lengths(any_order, lengths, pictures), seed=seed)
    with pytest.MonkeyPatch.context() as patched:
        in_style(patched, transitions=("cut", "fade", "wipe_up"), transition_s=transition_s, shot_max_s=shot_max_s)
        film = planned(asked)
    assert (film.shots[0].first, film.shots[-1].end) == (0, film.frames)
    for before, after in itertools.pairwise(film.shots):
        assert before.first < before.end
        assert before.end == after.first + after.fade
        assert (after.transition == "cut") == (after.fade == 0)
    shown = [sum(shot.first <= frame < shot.end for shot in film.shots) for frame in range(film.frames)]
    assert set(shown) <= {1, 2}


def test_a_word_lights_up_on_the_frame_at_which_it_sounds(asked: FilmOrder) -> None:
    film = planned(asked)
    starts = [start for caption in film.captions for start in caption.starts]
    words = [word for scene in asked.speech.scenes for word in scene.words]
    assert starts == [round((LEAD_IN_S + word.start_s) * film.fps) for word in words]
    assert [word for caption in film.captions for word in caption.words] == [word.text for word in words]


def test_captions_follow_each_other_without_overlap(tmp_path: Path) -> None:
    film = planned(order(tmp_path, scenes=LONG, aspect="9:16"))
    for before, after in itertools.pairwise(film.captions):
        assert before.first < before.end <= after.first
    assert film.captions[-1].end <= film.frames


def test_a_scene_changes_in_the_pause_between_the_words(asked: FilmOrder) -> None:
    film = planned(asked)
    last, first = asked.speech.scenes[0].words[-1], asked.speech.scenes[1].words[0]
    second = next(shot for shot in film.shots if shot.scene == 1)
    cut_s = (second.first + second.fade / 2) / film.fps - LEAD_IN_S
    assert last.end_s < cut_s < first.start_s


def test_the_same_order_gives_the_same_plan_and_another_seed_another(tmp_path: Path) -> None:
    asked = order(tmp_path, scenes=LONG)
    assert planned(asked) == planned(asked)
    assert planned(asked) != planned(replace(asked, seed=8))


def test_a_scene_without_words_has_its_picture_and_no_caption(tmp_path: Path) -> None:
    asked = order(tmp_path, scenes=(*LONG[:1], ("Silent", ""), *LONG[2:]))
    film = planned(asked)
    assert len(film.captions) > 0
    assert film.frames == sum(shot.end - shot.first - shot.fade for shot in film.shots)


def test_a_short_title_does_not_stay_long_beside_the_captions(tmp_path: Path) -> None:
    short, long = (planned(order(tmp_path, title=title)).cards[0] for title in ("Three hearts", "word " * 12))
    assert short.end == round(2.2 * 30)
    assert long.end > short.end


def test_the_title_gives_way_to_the_heading_and_a_heading_that_repeats_it_is_left_out(tmp_path: Path) -> None:
    cards = planned(order(tmp_path, scenes=LONG, title="Two")).cards
    shown = [("title", "Two"), ("chapter", "One"), ("chapter", "Three"), ("outro", "Two")]
    assert [(card.kind, card.text) for card in cards] == shown
    assert cards[0].end == cards[1].first


def test_the_film_ends_with_a_card_once_the_voice_and_the_captions_have_gone(asked: FilmOrder) -> None:
    film = planned(asked)
    end = film.cards[-1]
    assert (end.kind, end.end) == ("outro", film.frames)
    assert end.first / film.fps >= film.voice_start_s + film.voice_s - 1 / film.fps
    assert end.first >= film.captions[-1].end
    assert 2 * film.fps < end.end - end.first <= 3 * film.fps


def test_whose_picture_it_is_is_said_beside_it_and_everyone_is_named_once_at_the_end(asked: FilmOrder) -> None:
    credits_ = ("Photo by Ada on Pexels (https://example.org/1)", "Photo by Bo on Pexels (https://example.org/2)")
    pictures = tuple(
        replace(picture, credit=credit) for picture, credit in zip(asked.footage.pictures, credits_, strict=True)
    )
    film = planned(replace(asked, footage=Footage(pictures)))
    title, *_, end = film.cards
    beside = [card for card in film.cards if card.kind == "credit"]
    assert [card.text for card in beside] == ["Photo by Ada on Pexels", "Photo by Bo on Pexels"]
    assert title.end == beside[0].first
    second = next(shot for shot in film.shots if shot.picture == 1)
    assert beside[0].end <= second.first < beside[1].first < beside[1].end <= end.first
    assert end.text == "Why octopuses have three hearts\nPhotos by Ada and Bo on Pexels"


def test_pauses_of_the_plan_hold_no_word(asked: FilmOrder) -> None:
    film = planned(asked)
    assert film.silences[0].start_s == 0.0
    assert film.silences[-1].end_s == film.duration_s
    for scene in asked.speech.scenes:
        for word in scene.words:
            middle = LEAD_IN_S + (word.start_s + word.end_s) / 2
            assert not any(pause.start_s < middle < pause.end_s for pause in film.silences)


def test_a_word_that_begins_before_the_one_ahead_of_it_is_refused_by_name(asked: FilmOrder) -> None:
    with pytest.raises(PermanentError, match="'late' of scene 1"):
        planned(with_words(asked, Word("early", 0.5, 0.7), Word("late", 0.3, 0.6)))


def test_a_word_that_ends_before_it_begins_is_refused_by_name(asked: FilmOrder) -> None:
    with pytest.raises(PermanentError, match="'odd' of scene 1"):
        planned(with_words(asked, Word("odd", 0.5, 0.4)))


def test_words_that_overlap_by_a_breath_are_taken(asked: FilmOrder) -> None:
    film = planned(with_words(asked, Word("a", 0.1, 0.6), Word("b", 0.5, 0.9)))
    assert film.captions[0].starts == (21, 33)


def test_a_word_beyond_the_end_of_the_voice_is_refused_by_name(asked: FilmOrder) -> None:
    with pytest.raises(PermanentError, match=r"'Their' of scene 2, .* beyond the end of the voice, 2\.00 s"):
        plan(replace(asked, speech=replace(asked.speech, scenes=(SpokenScene(0, 1, ()), asked.speech.scenes[1]))), 2.0)


def test_a_scene_without_a_picture_is_refused_by_number(asked: FilmOrder) -> None:
    with pytest.raises(PermanentError, match="scene 2 has no picture"):
        planned(replace(asked, footage=Footage(asked.footage.pictures[:1]), pictures=asked.pictures[:1]))


def test_a_clip_shares_its_scene_when_it_is_too_short_for_it_and_is_never_asked_for_more_than_it_has(
    tmp_path: Path,
) -> None:
    asked, usable = order(tmp_path, scenes=LONG), Usable(0.5, 6.5)
    pictures = (*asked.footage.pictures, replace(asked.footage.pictures[0], kind="clip"))
    files = (*asked.pictures, asked.pictures[0])
    film = plan(replace(asked, footage=Footage(pictures), pictures=files), asked.speech.duration_s, (), {3: usable})
    still_only = plan(asked, asked.speech.duration_s)
    assert [shot for shot in film.shots if shot.scene > 0] != []
    assert {shot.picture for shot in film.shots if shot.scene == 0} == {0, 3}
    assert len([shot for shot in film.shots if shot.scene > 0]) == len([s for s in still_only.shots if s.scene > 0])
    clips = [shot for shot in film.shots if shot.part is not None]
    assert {shot.picture for shot in clips} == {3}
    for shot in clips:
        assert shot.part is not None
        seconds = (shot.end - shot.first) / film.fps
        assert usable.start_s <= shot.part.source_s
        assert shot.part.source_s + seconds * shot.part.speed <= usable.end_s + 0.02
        assert shot.part.speed >= 0.75
    shown = [sum(shot.first <= frame < shot.end for shot in film.shots) for frame in range(film.frames)]
    assert set(shown) <= {1, 2}


def test_a_speech_of_other_scenes_than_the_script_is_refused(asked: FilmOrder) -> None:
    with pytest.raises(PermanentError, match="the script has 2 scenes and the speech 1"):
        planned(replace(asked, speech=replace(asked.speech, scenes=asked.speech.scenes[:1])))
