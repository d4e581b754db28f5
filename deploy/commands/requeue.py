"""`requeue`: puts dead letters back into the private lane of the group that gave up, each once.

Without arguments it lists them. A letter whose video has ended is refused: the stage would only say that there is
nothing to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from deploy.commands.connections import PATIENCE_S, bus, record
from deploy.commands.terminal import DataOption, JsonOption, complain, running_factory
from schema import wire
from schema.errors import RefusedError, RetryableError
from schema.record.videos import Videos
from streams import names
from streams.transport.port import BusUnavailableError, DeadLetter, Transport

_ENDED = ("completed", "failed", "cancelled")

IdArgument = Annotated[str, typer.Argument(help="Entry id of the dead letter.", metavar="[ID]")]
AllOption = Annotated[bool, typer.Option("--all", help="Every letter that was not put back yet.")]


def requeue(
    letter_id: IdArgument = "",
    every: AllOption = False,  # noqa: FBT002 - a flag of the command line
    data: DataOption = None,
    *,
    json: JsonOption = False,
) -> int:
    """Put what was given up on back to work: one dead letter, or all; without either, list them."""
    factory = running_factory(data)
    with bus(factory.redis_url) as transport:
        letters = _letters(transport)
        if not (letter_id or every):
            _show(letters, json=json)
            return 0
        chosen = [letter for letter in letters if letter.id == letter_id or (every and not letter.requeued)]
        if letter_id and not chosen:
            raise RefusedError(f"there is no dead letter {letter_id}", hint="./ytempire requeue lists them")
        ended = asyncio.run(_ended(chosen, factory.database_url))
        refused = [letter for letter in chosen if not _put_back(transport, letter, ended.get(_video(letter)))]
    return 1 if refused else 0


def _letters(transport: Transport) -> list[DeadLetter]:
    try:
        transport.last_generated_id(names.DEAD, wait_s=PATIENCE_S)  # it waits no longer than a person does
    except BusUnavailableError as error:
        raise RetryableError(str(error), hint="./ytempire doctor") from error
    return transport.dead_letters()


def _show(letters: Sequence[DeadLetter], *, json: bool) -> None:
    for letter in letters:
        if json:
            told = {
                "id": letter.id,
                "group": letter.group,
                "video": _video(letter),
                "error": letter.error,
                "hint": letter.hint,
                "requeued": letter.requeued,
            }
            print(msgspec.json.encode(told).decode())
            continue
        state = "put back" if letter.requeued else "dead"
        print(f"{letter.id}  {state:8}  {letter.group or '?'}  {_video(letter)}  {wire.shown(letter.error)}")
    if not letters and not json:
        print("there are no dead letters")


def _put_back(transport: Transport, letter: DeadLetter, ended: str | None) -> bool:
    """Whether it was put back; says why not, or the redis-cli line that it stands for."""
    subscription = names.SUBSCRIPTIONS.get(letter.group)
    if subscription is None:
        complain(f"{letter.id} names no group of ours (got {letter.group!r}): nobody can tell where it belongs")
        return False
    if ended:
        complain(f"{letter.id} belongs to {_video(letter)}, which is {ended}: its stages take no work any more")
        return False
    outcome = transport.requeue(letter, subscription.lane)
    if outcome != "requeued":
        complain(f"{letter.id} " + ("was put back before" if outcome == "again" else "is not kept any more"))
        return False
    # loaded late, as in connections.py: every command imports this module
    from streams.transport.dead_letters import lane_fields  # noqa: PLC0415

    fields = {_text(name): _text(value) for name, value in lane_fields(letter).items()}
    print(wire.line(subscription.lane, fields))
    return True


async def _ended(letters: Sequence[DeadLetter], database_url: str) -> dict[str, str]:
    """How the videos of these letters ended, of those that did."""
    videos = {video for letter in letters if (video := _video(letter))}
    if not videos:
        return {}
    async with record(database_url) as postgres:
        rows = [await Videos(postgres).find(video) for video in sorted(videos)]
    return {row.video: row.status for row in rows if row is not None and row.status in _ENDED}


def _video(letter: DeadLetter) -> str:
    return _text(letter.fields.get(b"video", b""))


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
