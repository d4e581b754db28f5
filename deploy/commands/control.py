"""`halt`, `pause`, `resume`: each is one event on stream:control, and prints the redis-cli line that it stands for.

The record is told first, since it decides; the stream is what makes it fast. Where only one of the two answers, the
command goes to that one, and says so.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated, Literal

import typer

from deploy.commands.connections import PATIENCE_S, bus, record
from deploy.commands.terminal import DataOption, running_factory
from deploy.launch.data_directory import Addresses
from schema import wire
from schema.errors import RecordUnavailableError
from schema.events import command as commands
from schema.events.command import Command
from schema.record.gate import GateRecord
from streams import names
from streams.publish import publish
from streams.transport.port import BusUnavailableError

Verb = Literal["halt", "pause", "resume"]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it later.", metavar="TEXT")]


def halt(reason: ReasonOption = "", data: DataOption = None) -> None:
    """Stop everything now.

    Running work stops at its next safe point and goes on after `resume`; requests are still accepted.
    """
    _give("halt", reason, running_factory(data))


def pause(reason: ReasonOption = "", data: DataOption = None) -> None:
    """Finish what runs, take nothing new."""
    _give("pause", reason, running_factory(data))


def resume(reason: ReasonOption = "", data: DataOption = None) -> None:
    """Go on: lift all holds, guardians' too."""
    _give("resume", reason, running_factory(data))


def _give(verb: Verb, reason: str, factory: Addresses) -> None:
    command = Command(verb=verb, reason=reason, id=uuid.uuid4().hex)
    print(wire.line(names.CONTROL, {"type": verb, **({"reason": reason} if reason else {})}))
    silent: list[Exception] = []
    state = "sent"
    try:
        state = asyncio.run(_apply(command, factory.database_url))
    except RecordUnavailableError as error:
        silent.append(error)
    try:
        with bus(factory.redis_url) as transport:
            publish(transport, names.CONTROL, commands.to_fields(command), token=command.id, wait_s=PATIENCE_S)
    except BusUnavailableError as error:
        silent.append(error)
    match silent:
        case []:
            print(state)
        case [RecordUnavailableError()]:
            print("sent: it works now, and is recorded as soon as Postgres answers again")
        case [BusUnavailableError()]:
            print(f"{state}: Redis does not answer, so each process reads it from the record within about a second")
        case _:
            raise RecordUnavailableError(
                "neither Postgres nor Redis answers: nothing was done", hint="./ytempire doctor"
            )


async def _apply(command: Command, database_url: str) -> str:
    async with record(database_url) as postgres:
        return (await GateRecord(postgres).apply(command, entry_id=None)).state
