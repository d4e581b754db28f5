import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.providers.script.extractive import write
from actors.providers.script.notes import paragraphs
from actors.providers.script.samples import Sample, samples
from schema.documents import Brief
from schema.errors import PermanentError

SHORT = (
    "Bees dance to tell each other where flowers are. The dance has the shape of an eight. "
    "The angle of its middle line gives the direction, and its length gives the distance to the food."
)


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.topic)
def test_every_sentence_stands_in_the_paragraph_that_the_scene_names(sample: Sample) -> None:
    by_number = {part.number: part.sentences for part in paragraphs(sample.notes)}
    for scene in write(Brief(sample.topic, notes=sample.notes)).scenes:
        numbers = [int(word) for word in scene.source.split() if word.isdigit()]
        left = scene.narration
        for sentence in (sentence for number in numbers for sentence in by_number[number]):
            left = left.replace(sentence, "")
        assert numbers
        assert not left.strip()


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.topic)
def test_sentences_keep_the_order_of_the_notes(sample: Sample) -> None:
    flat = " ".join(sample.notes.split())
    places = [
        flat.index(scene.narration.split(". ")[0]) for scene in write(Brief(sample.topic, notes=sample.notes)).scenes
    ]
    assert places == sorted(places)


def test_notes_shorter_than_the_film_are_used_whole() -> None:
    script = write(Brief("how bees talk.", notes=SHORT, length_s=300))
    assert " ".join(scene.narration for scene in script.scenes) == SHORT
    assert script.title == "How bees talk"
    assert "dance" in script.tags


def test_scenes_are_short_and_have_words_to_search_for() -> None:
    sample = samples()[0]
    script = write(Brief(sample.topic, notes=sample.notes, length_s=90))
    assert len(script.scenes) >= 7
    assert all(len(scene.narration.split()) <= 45 for scene in script.scenes)
    assert all(1 <= len(scene.search_terms) <= 5 for scene in script.scenes)
    assert all(not scene.heading for scene in script.scenes)


def test_headings_of_the_notes_become_chapters_and_divide_scenes() -> None:
    script = write(
        Brief("Bees", notes=f"## The dance\n{SHORT}\n\n## The food\nNectar is turned into honey by the hive.")
    )
    assert [scene.heading for scene in script.scenes] == ["The dance", "The food"]


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.topic)
@pytest.mark.parametrize("length_s", [20, 40, 60, 90])
def test_a_sentence_that_leans_on_another_is_not_taken_alone(sample: Sample, length_s: float) -> None:
    script = write(Brief(sample.topic, notes=sample.notes, length_s=length_s))
    said = " ".join(scene.narration for scene in script.scenes)
    in_order = [sentence for part in paragraphs(sample.notes) for sentence in part.sentences]
    for before, sentence in itertools.pairwise(in_order):
        if sentence in said and sentence.startswith(
            ("It ", "They ", "This ", "These ", "He ", "Their ", "That ", "Such ")
        ):
            assert before in said


def test_a_bare_topic_is_refused_with_a_line_to_copy() -> None:
    with pytest.raises(PermanentError, match="only a topic was given") as caught:
        write(Brief("Why octopuses have three hearts", notes="  \n"))
    assert "notes" in caught.value.hint


def test_too_few_words_are_counted_in_the_refusal() -> None:
    with pytest.raises(
        PermanentError, match="got notes with 4 words that can be spoken, expected at least 25"
    ) as caught:
        write(Brief("Bees", notes="Bees dance very well.\n\n```\n" + "code " * 50 + "\n```"))
    assert caught.value.hint


def test_the_same_brief_gives_the_same_script() -> None:
    brief = Brief(samples()[0].topic, notes=samples()[0].notes)
    assert write(brief) == write(brief)


def test_the_topic_draws_its_sentences_in() -> None:
    notes = "\n\n".join(
        [
            "Cats sleep for most of the day and hunt at dusk in silence.",
            *(f"Rocks of kind {number} lie on hill {number} and do nothing at all there." for number in range(20)),
            "Volcanoes bring melted rock from the deep and build new land.",
        ]
    )
    chosen = " ".join(
        scene.narration for scene in write(Brief("Volcanoes build land", notes=notes, length_s=25)).scenes
    )
    assert "Volcanoes bring" in chosen


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=600), st.floats(5, 600))
def test_any_notes_give_a_script_or_a_reason(notes: str, length_s: float) -> None:
    try:
        script = write(Brief("Topic", notes=notes, length_s=length_s))
    except PermanentError:
        return
    assert script.scenes
    assert all(scene.narration.strip() for scene in script.scenes)
