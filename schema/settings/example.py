"""Writes the settings down as .env.example shows them: each with its description and default, in their groups.

`python -m schema.settings.example > .env.example` brings the file up to date; a test holds the two equal.
"""

from __future__ import annotations

import inspect
import sys
from itertools import groupby
from typing import get_type_hints

from schema.settings.environment import Settings, variables

_HEAD = """\
# Every setting of the factory, with its default. Copy this to .env, change what you need, and export it:
#     set -a; . ./.env; set +a
# An empty value counts as not set.
"""


def text() -> str:
    """The whole file."""
    groups = get_type_hints(Settings)
    parts = [_HEAD]
    for group, members in groupby(variables(), key=lambda variable: variable.group):
        summary = (inspect.getdoc(groups[group]) or "").splitlines()[0]
        parts.append(f"\n# --- {group}: {summary}\n")
        parts.extend(f"\n# {variable.description}\n{variable.name}={variable.default}\n" for variable in members)
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(text())
