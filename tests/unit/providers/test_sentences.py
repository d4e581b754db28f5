import pytest

from actors.providers.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One here. Two here! Three?", ["One here.", "Two here!", "Three?"]),
        ("Dr. Smith met J. K. Rowling. They spoke.", ["Dr. Smith met J. K. Rowling.", "They spoke."]),
        ("The U.S. Army came. It left the U.S. The end.", ["The U.S. Army came.", "It left the U.S.", "The end."]),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("It cost 3.50 dollars, e.g. Milk. 2019 was dear.", ["It cost 3.50 dollars, e.g. Milk.", "2019 was dear."]),
        ("no full stop", ["no full stop"]),
        ("... No words. Then some.", ["... No words.", "Then some."]),
        ("   ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_sentences_joined_are_the_text() -> None:
    text = 'A  first one.\nThe "second" one (odd). Third? Yes! i.e. this. 4 is a number...  And E. coli.'
    assert " ".join(sentences(text)) == " ".join(text.split())
