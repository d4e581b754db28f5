"""Files of JSON lines that a run keeps of what it saw, and goes on with; a line that a kill cut in two is cut off."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


def kept(path: Path, kind: type[T]) -> list[T]:
    """What it holds, whole lines only, so that what is added begins a line; nothing where there is no file."""
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        path.write_bytes(whole)
    return [msgspec.json.decode(line, type=kind) for line in whole.splitlines()]


def add(path: Path, entry: msgspec.Struct) -> None:
    """Another line."""
    with path.open("ab") as file:
        file.write(msgspec.json.encode(entry) + b"\n")
