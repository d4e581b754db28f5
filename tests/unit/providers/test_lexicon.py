from pathlib import Path

import pytest

from actors.providers.audio.lexicon import read_lexicon
from schema.errors import ConfigurationError

ALPHABET = frozenset("abcde ")


def test_words_are_read_and_comments_skipped(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text("# names\n\nCabbed /abc de/\nace  /ad/\n", encoding="utf-8")
    assert read_lexicon(path, ALPHABET) == {"cabbed": "abc de", "ace": "ad"}


@pytest.mark.parametrize(("line", "told"), [("word abc", "expected word /phonemes/"), ("word /axc/", "got 'x'")])
def test_a_wrong_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text(f"ace /ad/\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"line 2.*{told}"):
        read_lexicon(path, ALPHABET)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        read_lexicon(tmp_path / "nowhere", ALPHABET)
