"""The number of this release, as pyproject.toml has it; read once, so that a process says what it was started as."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_SAID: Final = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)


def _said_in(text: str) -> str:
    """The first version in the file is the project's own: nothing but its name stands before it."""
    found = _SAID.search(text)
    if found is None:
        raise ValueError('pyproject.toml has no line `version = "..."`')
    return found[1]


RELEASE: Final = _said_in((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
