"""What the factory answers: rejections with their fields intact, receipts for senders, notices of what was done.

A rejection keeps every byte it got, readable or not; nothing here decides whether something is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from schema import wire

#: Asks the render processes on `host` for GPU memory that they keep and do not use: cupy's pools.
GPU_RELEASE: Final = "gpu.release"
#: What a process says that found its stream without its group; the integrity guardian rebuilds at once.
WIPED: Final = "redis.wiped"
#: What a render process says when its card had no memory left for it; the gpu guardian acts at once.
GPU_OUT_OF_MEMORY: Final = "gpu.out_of_memory"


class Notice(msgspec.Struct, frozen=True):
    """What a process did or saw, for whoever watches; `by` is that process, `at` UTC with milliseconds.

    An action of a guardian has its `cause`, one word that stays the same while the cause does, and its `reason` in
    words; `action` is what a person may do about it.
    """

    type: str
    at: str
    by: str
    video: str = ""
    stage: str = ""
    reason: str = ""
    cause: str = ""
    level: str = ""
    action: str = ""
    host: str = ""


def to_fields(notice: Notice) -> dict[str, str]:
    """The notice as it travels."""
    return wire.to_fields(notice)


def rejection(error: str, hint: str, from_stream: str, from_id: str, raw: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """A refused entry as stream:rejected and stream:dead keep it: its own fields intact, then ours.

    A field of theirs that bears one of our names gets a "_" after its name.
    """
    ours = {"error": error, "hint": hint, "from_stream": from_stream, "from_id": from_id}
    said = {name.encode(): text.encode(errors="replace") for name, text in ours.items()}
    fields: dict[bytes, bytes] = {}
    for name, value in raw.items():
        kept = name
        while kept in said or kept in fields or (kept != name and kept in raw):
            kept += b"_"
        fields[kept] = value
    return fields | said


def accepted(video: str, place: int, status: str) -> dict[str, str]:
    """The receipt of a request that is in the record; `place` counts from 1, the next to be admitted."""
    return {"status": status, "video": video, "place": str(place)}


def refused(error: str, hint: str) -> dict[str, str]:
    """The receipt of what was refused; the entry itself is in stream:rejected."""
    return {"status": "rejected", "error": error, "hint": hint}


def applied(verb: str, gate: str, *, did: str = "") -> dict[str, str]:
    """The receipt of a command that is in the record; `gate` is what it left, `did` says in words what it did."""
    return {"status": "applied", "type": verb, "gate": gate, **({"did": did} if did else {})}
