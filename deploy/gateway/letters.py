"""Dead letters by HTTP: the list of them, and putting one back, by the rules of `./ytempire requeue`."""

from __future__ import annotations

from functools import partial

import msgspec

from deploy.gateway.parts import Parts
from deploy.gateway.patience import from_bus, soon
from schema.errors import RefusedError
from schema.wire import shown
from streams import names
from streams.transport.port import DeadLetter

_ENDED = ("completed", "failed", "cancelled")


class Letter(msgspec.Struct, frozen=True):
    """A dead letter."""

    id: str
    group: str
    error: str
    hint: str
    video: str
    requeued: bool
    fields: dict[str, str]


class PutBack(msgspec.Struct, frozen=True):
    """What became of it: `requeued`, `again` (it was put back before) or `missing` (it is not kept any more)."""

    id: str
    outcome: str


async def letters(parts: Parts, most: int) -> list[Letter]:
    """Those that are kept, the newest first."""
    return [_shown(letter) for letter in reversed(await _all(parts))][:most]


async def put_back(parts: Parts, letter_id: str) -> PutBack | None:
    """Put one back into the lane of the group that gave up, once; None: there is none of this name.

    Raises RefusedError where nobody can tell where it belongs, and where its video has ended.
    """
    letter = next((one for one in await _all(parts) if one.id == letter_id), None)
    if letter is None:
        return None
    subscription = names.SUBSCRIPTIONS.get(letter.group)
    if subscription is None:
        raise RefusedError(
            f"{letter_id} names no group of ours (got {shown(letter.group)!r}): nobody can tell where it belongs"
        )
    video = letter.fields.get(b"video", b"").decode(errors="replace")
    found = await soon(parts.videos.find(video)) if video else None
    if found is not None and found.status in _ENDED:
        raise RefusedError(
            f"{letter_id} belongs to {video}, which is {found.status}: its stages take no work any more",
            hint=f"./ytempire retry {video}",
        )
    transport = parts.process.transport
    return PutBack(letter_id, await from_bus(partial(transport.requeue, letter, subscription.lane)))


async def _all(parts: Parts) -> list[DeadLetter]:
    transport = parts.process.transport
    # to read them all waits as long as it takes; whether anybody answers is asked first
    await from_bus(partial(transport.last_generated_id, names.DEAD, wait_s=1.0))
    return await from_bus(transport.dead_letters)


def _shown(letter: DeadLetter) -> Letter:
    return Letter(
        letter.id,
        letter.group,
        letter.error,
        letter.hint,
        shown(letter.fields.get(b"video", b"")),
        letter.requeued,
        {shown(name): shown(value) for name, value in letter.fields.items()},
    )
