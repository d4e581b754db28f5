"""The number of this release, as pyproject.toml and the changelog have it; each process says it to the record."""

from __future__ import annotations

from typing import Final

RELEASE: Final = "0.1.0"
