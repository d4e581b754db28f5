"""SECURITY.md names tests as proofs: each is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_page_of_security_names_is_there() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w./]+|test_\w+\.py)`", text)
    assert len(named) > 12
    for name in named:
        assert (ROOT / name).exists() or list((ROOT / "tests").rglob(name)), name
