"""Commands by HTTP: the record first, since it decides and can refuse, then the stream, which makes them fast.

Where only one of the two answers, the command goes to that one, and the answer says so; a halt is never refused for a
server that is away, and its stream does not wait for a record that is slow.
"""

from __future__ import annotations

import asyncio
import uuid
from functools import partial
from typing import Final

import msgspec

from deploy.gateway.parts import Parts
from deploy.gateway.patience import BusAwayError, from_bus, soon
from schema.errors import RecordUnavailableError
from schema.events import command as commands
from schema.events.command import Command
from schema.events.notice import applied
from streams import names
from streams.publish import publish

BY: Final = "http"
_PATIENCE_S: Final = 1.0
#: What shuts the gate cannot be refused: the stream hears of it although the record has not answered after so long.
_SHUTS: Final = ("halt", "pause")
_SHUTS_AFTER_S: Final = 0.3


async def give(parts: Parts, fields: dict[str, str]) -> dict[str, str]:
    """Give one command; the answer is the receipt's fields, and `line`, the redis-cli line that it stands for.

    Raises RefusedError as the control actor would, RecordUnavailableError when nobody answers.
    """
    raw = {name.encode(errors="replace"): text.encode(errors="replace") for name, text in fields.items() if text}
    command = msgspec.structs.replace(commands.parse(raw), id=uuid.uuid4().hex)
    record = asyncio.create_task(_recorded(parts, command))
    await asyncio.wait({record}, timeout=_SHUTS_AFTER_S if command.verb in _SHUTS else None)
    if record.done():
        record.result()  # a refusal goes no further
    heard = await _said(parts, command)
    answer = await record
    parts.overview.forget()
    if answer is None and not heard:
        raise RecordUnavailableError("neither Postgres nor Redis answers: nothing was done", hint="./ytempire doctor")
    if answer is None:
        answer = {"status": "sent", "type": command.verb, "note": "it is recorded as soon as Postgres answers"}
    elif not heard:
        answer["note"] = "Redis does not answer: each process reads it from the record within a second"
    return {**answer, "line": commands.line(command)}


async def _recorded(parts: Parts, command: Command) -> dict[str, str] | None:
    """The receipt's fields; None: Postgres does not answer."""
    try:
        did = await soon(parts.commands.apply(command))
    except RecordUnavailableError:
        return None
    return applied(command.verb, did.gate, did=did.did)


async def _said(parts: Parts, command: Command) -> bool:
    """Whether the stream took it."""
    fields, transport = commands.to_fields(command), parts.process.transport
    send = partial(publish, transport, names.CONTROL, fields, token=command.id, wait_s=_PATIENCE_S)
    try:
        await from_bus(send)
    except BusAwayError:
        return False
    return True
