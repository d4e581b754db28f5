import pytest

from actors.providers.script.notes import Paragraph, paragraphs, plain

NOTES = """---
author: somebody
---
# The deep sea

The *deep* sea is **dark** and `cold` [as we know](https://example.com/x) [1]. It covers most of the planet[^2].

## Life without light

> Animals there make their own light. 🐙 They use it to hunt.

- Anglerfish carry a lamp
- Some squid squirt glowing ink.

```python
print("never spoken. Never shown.")
```

| a table | is dropped |
|---------|------------|

Read more at https://example.com/deep-sea today. The word \u0433\u043b\u0443\u0431\u0438\u043d\u0430 means depth.

### A heading that goes on for so long that nobody would ever want it on a screen

Pressure rises by one atmosphere every 10 meters.
"""


def test_markup_code_tables_and_addresses_are_never_spoken() -> None:
    assert paragraphs(NOTES) == [
        Paragraph(
            number=1,
            heading="",
            sentences=("The deep sea is dark and cold as we know.", "It covers most of the planet."),
        ),
        Paragraph(
            number=2,
            heading="Life without light",
            sentences=("Animals there make their own light.", "They use it to hunt."),
        ),
        Paragraph(
            number=3,
            heading="Life without light",
            sentences=("Anglerfish carry a lamp", "Some squid squirt glowing ink."),
        ),
        Paragraph(number=5, heading="", sentences=("Pressure rises by one atmosphere every 10 meters.",)),
    ]


def test_a_heading_ends_with_the_next_one() -> None:
    found = paragraphs("## One\nFirst words here.\n\n# Two\nSecond words here.")
    assert [part.heading for part in found] == ["One", ""]


def test_windows_line_ends_make_the_same_paragraphs() -> None:
    assert paragraphs(NOTES.replace("\n", "\r\n")) == paragraphs(NOTES)


def test_words_with_underscores_and_sums_keep_their_signs() -> None:
    assert plain("snake_case_name and 2 * 3 * 4 &amp; 5 < 6") == "snake_case_name and 2 * 3 * 4 & 5 < 6"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece",
    ["<!--", "*", "**a", "[", "![", "`", "_a", "<a", "# ", "## #", "Dr. ", "A. B", '." ', "```\n", "- a\n", "| ", "\\"],
)
def test_no_text_makes_reading_slow(piece: str) -> None:
    paragraphs("## " + piece * (200_000 // len(piece)) + "x")
    paragraphs("words " + piece * (200_000 // len(piece)) + "x")
