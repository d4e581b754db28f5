import pytest

from actors.providers.audio.language import refuse_unspeakable
from actors.providers.script.samples import Sample, sample_for, samples


def test_a_sample_is_found_whatever_its_case_and_blanks() -> None:
    found = sample_for("  why OCTOPUSES have  three hearts? ")
    assert found is not None
    assert found.topic == "Why octopuses have three hearts"
    assert sample_for("Why octopuses have four hearts") is None


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.topic)
def test_samples_are_whole_articles_in_plain_letters(sample: Sample) -> None:
    assert 350 <= len(sample.notes.split()) <= 600
    assert sample.notes.isascii()
    assert not sample.notes.startswith("#")
    refuse_unspeakable(f"{sample.topic}\n{sample.notes}")
