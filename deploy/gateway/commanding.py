"""Commands by HTTP: the record first, since it decides and can refuse, then the stream, which makes them fast.

Where only one of the two answers, the command goes to that one, and the answer says so; a halt is never refused for a
server that is away.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

import msgspec

from deploy.gateway.parts import Parts, soon
from schema.errors import RecordUnavailableError
from schema.events import command as commands
from schema.events.notice import applied
from streams import names
from streams.publish import publish
from streams.transport.port import BusUnavailableError

_PATIENCE_S: Final = 1.0
BY: Final = "http"


async def give(parts: Parts, fields: dict[str, str]) -> dict[str, str]:
    """Give one command; the answer is the receipt's fields, and `line`, the redis-cli line that it stands for.

    Raises RefusedError as the control actor would, RecordUnavailableError when nobody answers.
    """
    raw = {name.encode(): text.encode(errors="replace") for name, text in fields.items() if text}
    command = msgspec.structs.replace(commands.parse(raw), id=uuid.uuid4().hex)
    answer: dict[str, str] = {}
    silent: RecordUnavailableError | None = None
    try:
        did = await soon(parts.commands.apply(command))
        answer = applied(command.verb, did.gate, did=did.did)
    except RecordUnavailableError as error:
        silent = error
    try:
        said = commands.to_fields(command)
        await asyncio.to_thread(
            publish, parts.process.transport, names.CONTROL, said, token=command.id, wait_s=_PATIENCE_S
        )
    except BusUnavailableError:
        if silent is not None:
            raise RecordUnavailableError(
                "neither Postgres nor Redis answers: nothing was done", hint="./ytempire doctor"
            ) from silent
        answer["note"] = "Redis does not answer: each process reads it from the record within a second"
    if silent is not None:
        answer = {"status": "sent", "type": command.verb, "note": "it is recorded as soon as Postgres answers"}
    return {**answer, "line": commands.line(command)}
