"""`halt`, `pause`, `resume`, `mode`, `retry`: each is one event on stream:control, and prints the line it stands for.

The record is told first, since it decides and can refuse; the stream is what makes it fast. Where only one of the two
answers, the command goes to that one, and says so.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated

import msgspec
import typer

from deploy.commands.connections import PATIENCE_S, bus, record
from deploy.commands.terminal import MISUSED, DataOption, JsonOption, running_factory
from deploy.launch.data_directory import Addresses
from schema.errors import RecordUnavailableError, RefusedError
from schema.events import command as commands
from schema.events import notice
from schema.events.command import Command
from schema.record.commands import HOLDS, Answer, Commands
from streams import names
from streams.publish import publish
from streams.transport.port import BusUnavailableError

ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it later.", metavar="TEXT")]
VideoArgument = Annotated[str, typer.Argument(help="A video's name, as `videos` lists it.", metavar="VIDEO")]
ModeArgument = Annotated[str, typer.Argument(help="normal, economy or speed.", metavar="MODE")]
OneVideoArgument = Annotated[str, typer.Argument(help="Only this video; else all.", metavar="[VIDEO]")]
FromOption = Annotated[
    str, typer.Option("--from", help="Make it again from this stage on: script, media, audio, render, quality.")
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="With new answers: what was bought for these stages is bought again.")
]


def halt(reason: ReasonOption = "", data: DataOption = None, json: JsonOption = False) -> int:  # noqa: FBT002 - a flag of the command line
    """Stop everything now.

    Running work stops at its next safe point and goes on after `resume`; requests are still accepted.
    """
    return give(running_factory(data), json=json, type="halt", reason=reason)


def pause(reason: ReasonOption = "", data: DataOption = None, json: JsonOption = False) -> int:  # noqa: FBT002 - likewise
    """Finish what runs, take nothing new."""
    return give(running_factory(data), json=json, type="pause", reason=reason)


def resume(reason: ReasonOption = "", data: DataOption = None, json: JsonOption = False) -> int:  # noqa: FBT002 - likewise
    """Go on: lift all holds, guardians' too."""
    return give(running_factory(data), json=json, type="resume", reason=reason)


def mode(
    mode: ModeArgument,
    video: OneVideoArgument = "",
    reason: ReasonOption = "",
    data: DataOption = None,
    json: JsonOption = False,  # noqa: FBT002 - likewise
) -> int:
    """Save money (economy), hurry (speed), or neither (normal), from the next call on.

    normal lifts guardians' modes, too; economy outweighs speed where both are asked for.
    """
    return give(running_factory(data), json=json, type="mode", mode=mode, video=video, reason=reason)


def retry(
    video: VideoArgument,
    from_stage: FromOption = "",
    reason: ReasonOption = "",
    data: DataOption = None,
    *,
    fresh: FreshOption = False,
    json: JsonOption = False,
) -> int:
    """Take up a video that has failed, was cancelled, or is to be made again from a stage on."""
    said = {"from": from_stage, "fresh": "yes" if fresh else "", "reason": reason}
    return give(running_factory(data), json=json, type="retry", video=video, **said)


def give(factory: Addresses, *, json: bool, **fields: str) -> int:
    """Give one command to record and stream; returns the exit code.

    Raises RefusedError as the receipt would say, and RecordUnavailableError when nobody answers.
    """
    line = ""
    try:
        command = understood(fields)
        line = commands.line(command)
        if not json:
            print(line)
        said = _given(factory, command)
    except RefusedError as error:
        if not json:
            raise
        print(_json({"line": line, **notice.refused(str(error), error.hint)}))
        return MISUSED
    print(_json({"line": line, **said}) if json else said["said"])
    return 0


def understood(fields: dict[str, str]) -> Command:
    """The command these fields say, with an id of its own; raises RefusedError as the control actor would."""
    command = commands.parse({name.encode(): text.encode() for name, text in fields.items() if text})
    return msgspec.structs.replace(command, id=uuid.uuid4().hex)


def send(factory: Addresses, given: list[Command]) -> None:
    """Publish commands that the record has, or shall have; raises BusUnavailableError."""
    with bus(factory.redis_url) as transport:
        for command in given:
            publish(transport, names.CONTROL, commands.to_fields(command), token=command.id, wait_s=PATIENCE_S)


def _given(factory: Addresses, command: Command) -> dict[str, str]:
    """What became of it: the receipt's fields, and `said` for a person."""
    receipt: dict[str, str] = {}
    silent = None
    try:
        answer = asyncio.run(_apply(factory.database_url, command))
        receipt = notice.applied(command.verb, answer.gate, did=answer.did)
        receipt["said"] = answer.gate if command.verb in HOLDS else answer.did
    except RecordUnavailableError as error:
        silent = error
    try:
        send(factory, [command])
    except BusUnavailableError:
        if silent:
            raise RecordUnavailableError(
                "neither Postgres nor Redis answers: nothing was done", hint="./ytempire doctor"
            ) from silent
        waits = "Redis does not answer, so each process reads it from the record within about a second"
        receipt["said"] = f"{receipt['said']}: {waits}"
    if silent:
        works = "it works now, and is" if command.verb in HOLDS else "it is"
        return {"status": "sent", "said": f"sent: {works} recorded as soon as Postgres answers again"}
    return receipt


async def _apply(database_url: str, command: Command) -> Answer:
    async with record(database_url) as postgres:
        return await Commands(postgres).apply(command)


def _json(fields: dict[str, str]) -> str:
    return msgspec.json.encode(fields).decode()
