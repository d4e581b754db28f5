import pytest

from actors.providers.audio.reading import caption_words, owners, readings


def test_signs_without_sound_join_the_word_before() -> None:
    assert caption_words("- So — he said ... 5 % & more") == ["- So —", "he", "said ...", "5", "%", "&", "more"]


@pytest.mark.parametrize("text", ["", "one", "a — b", "“Quoted” words, (and) so-on…", "3 + 4 = 7"])
def test_caption_words_joined_are_the_text(text: str) -> None:
    assert " ".join(caption_words(text)) == text


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("see www.example.com/maps, please", "see example dot com slash maps, please"),
        ("mail joe@example.org.", "mail joe at example dot org."),
        ("birds, e.g. owls (i.e. hunters)", "birds, for example owls (that is hunters)"),
        ("a 5 m wall, I m", "a 5 meters wall, I m"),
        ("3 km² of wood", "3 square kilometers of wood"),
        ("it\u2019s Dr. Who", "it's Dr. Who"),
        ("version 2.0.1 of and/or", "version 2.0.1 of and/or"),
    ],
)
def test_what_the_package_cannot_read_is_put_in_words(text: str, read: str) -> None:
    assert " ".join(readings(caption_words(text))) == read


def test_each_piece_that_is_said_finds_its_caption_word() -> None:
    words = "Dr. Smith paid $5 million on 3 March at 5:30 pm.".split()  # noqa: SIM905 -- as a person wrote it
    said = "Dr Smith paid 5 million dollars on the third of March at five thirty P.M."
    shown = [words[owner] for owner in owners(words, said.split())]
    assert shown == [
        *["Dr.", "Smith", "paid", "$5", "million", "million", "on", "3", "3", "3", "March", "at", "5:30", "5:30", "pm."]
    ]
