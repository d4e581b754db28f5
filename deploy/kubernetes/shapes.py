"""What each line of the Procfile asks of a cluster: how many of it may run, its share of a node, its keys.

The figures are where to begin, not what was measured on a cluster. A request is what the scheduler sets aside; nothing
is held below a limit of CPU, since that would only make a render late.
"""

from __future__ import annotations

from typing import Final

import msgspec

from actors.__main__ import THREADS
from deploy.launch.procfile import Line

#: Processes that share the work with others of their name.
_SHARING: Final = frozenset({"intake", "gateway", *THREADS})
#: Enough for a process that reads, asks and writes.
_SMALL: Final = ("50m", "192Mi", "512Mi")
_SHARES: Final = {
    "media": ("100m", "256Mi", "1Gi"),
    "audio": ("1", "768Mi", "2Gi"),
    "render": ("2", "1Gi", "4Gi"),
    "quality": ("1", "512Mi", "2Gi"),
    "chores": ("50m", "192Mi", "1Gi"),
}
_KEYS: Final = {
    "script": ("OPENAI_API_KEY",),
    "media": ("PEXELS_API_KEY",),
    "audio": ("ELEVENLABS_API_KEY", "GOOGLE_API_KEY"),
    "chores": ("YTEMPIRE_ALERTS_TO",),
    # whoever applies the migrations, where the others may not
    "control": ("YTEMPIRE_DATABASE_DIRECT_URL",),
}
#: At the most, under KEDA; what `YTEMPIRE_MAX_CONCURRENT` videos in hand could give no work would only stand there.
_MOST: Final = {"script": 2, "media": 4, "audio": 8, "render": 8, "quality": 4}


class Shape(msgspec.Struct, frozen=True):
    """One process in a cluster."""

    name: str
    #: The port of its exporter.
    port: int
    #: Whether a second one shares its work; of the others one is enough.
    shares: bool
    cpu: str
    memory: str
    memory_limit: str
    #: Entries of the secret that it is given where they are there.
    keys: tuple[str, ...]
    #: Whether it calls others on the internet.
    calls_out: bool
    #: For a stage: how many videos one process works on at once, and how many processes there may be.
    threads: int
    most: int


def shapes(lines: tuple[Line, ...], *, first_port: int) -> tuple[Shape, ...]:
    """All of them, in the order of the Procfile."""
    return tuple(_shape(line.name, port) for port, line in enumerate(lines, start=first_port))


def _shape(name: str, port: int) -> Shape:
    cpu, memory, limit = _SHARES.get(name, _SMALL)
    return Shape(
        name=name,
        port=port,
        shares=name in _SHARING,
        cpu=cpu,
        memory=memory,
        memory_limit=limit,
        keys=_KEYS.get(name, ()),
        calls_out=name in ("script", "media", "audio", "chores"),
        threads=THREADS.get(name, 0),
        most=_MOST.get(name, 1),
    )
