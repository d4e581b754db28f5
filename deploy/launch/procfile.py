"""Reads a Procfile: the list of processes, one `name: command` a line, the order giving each its metrics port.

A command is split into words as a shell would, but no shell runs it: no variables, no pipes. `python` is this Python.
A host may run a share of the lines; each keeps the port that it has in the whole list, on every host the same.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from schema.errors import ConfigurationError

_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")


class Line(msgspec.Struct, frozen=True):
    """One process of the factory."""

    name: str
    argv: tuple[str, ...]


def read(path: Path) -> tuple[Line, ...]:
    """The processes of a Procfile, in order.

    Raises ConfigurationError, naming the line, when it is not a Procfile or a name comes twice.
    """
    lines: dict[str, Line] = {}
    try:
        whole = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}"
        raise ConfigurationError(message, hint="save it as UTF-8 text") from None
    for number, text in enumerate(whole.splitlines(), start=1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        line = _parse(text, f"{path}, line {number}")
        if line.name in lines:
            raise ConfigurationError(f"{path}, line {number}: there are two processes named {line.name!r}")
        lines[line.name] = line
    if not lines:
        raise ConfigurationError(f"{path} names no process", hint="a line reads `name: command`")
    return tuple(lines.values())


def share(lines: Sequence[Line], wanted: str) -> tuple[tuple[int, Line], ...]:
    """The lines that are named, by commas or blanks, each with its place in the list; all where none is.

    Raises ConfigurationError, with the names there are, for one that is none.
    """
    asked = set(wanted.replace(",", " ").split())
    if strange := sorted(asked - {line.name for line in lines}):
        raise ConfigurationError(
            f"the Procfile has no line {', '.join(map(repr, strange))} (YTEMPIRE_ACTORS, or --only)",
            hint=f"its lines are {', '.join(line.name for line in lines)}",
        )
    return tuple((place, line) for place, line in enumerate(lines) if not asked or line.name in asked)


def _parse(text: str, place: str) -> Line:
    found = _LINE.fullmatch(text.strip())
    try:
        words = shlex.split(found[2]) if found else []
    except ValueError as error:
        raise ConfigurationError(f"{place}: {error} in {text!r}") from None
    if found is None or not words:
        raise ConfigurationError(f"{place}: got {text!r}, expected `name: command`")
    return Line(found[1], (sys.executable if words[0] == "python" else words[0], *words[1:]))
