"""The control actor: commits what stream:control says, in order, each command once, and answers with a receipt.

It keeps its place with the state, so a restart goes on where it was, and a halt never waits behind other work. A halt
with malformed fields halts; anything else that is malformed is rejected with a hint and changes nothing.
"""

from __future__ import annotations

import asyncio

import structlog

from schema.errors import RefusedError
from schema.events import command as commands
from schema.events import notice
from schema.record.gate import position
from schema.record.refusals import Refusals
from schema.telemetry import metrics
from streams import names, receipts
from streams.observer import Observer
from streams.process import Process
from streams.publish import publish
from streams.transport.port import Entry

_log = structlog.get_logger(__name__)


async def run(process: Process) -> None:
    """Follow stream:control until cancelled."""
    truth = await process.gate_record.read()
    observer = Observer(
        process.transport, (names.CONTROL,), {names.CONTROL: truth.cursor}, block_s=process.settings.servers.block_s
    )
    refusals, place = Refusals(process.postgres), truth.cursor
    try:
        while True:
            for entry in await asyncio.to_thread(observer.read):
                if position(entry.id) < position(place):
                    await process.gate_record.begin_anew()
                place = entry.id
                await _commit(process, refusals, entry)
            for command in await process.gate_record.unsent():
                await asyncio.to_thread(
                    publish, process.transport, names.CONTROL, commands.to_fields(command), token=command.id
                )
    finally:
        observer.stop()


async def _commit(process: Process, refusals: Refusals, entry: Entry) -> None:
    try:
        command = commands.parse(entry.fields)
    except RefusedError as error:
        metrics.EVENTS_REJECTED.inc()
        _log.warning("command.rejected", entry=entry.id, error=str(error))
        await refusals.note("rejected", stream=entry.stream, entry_id=entry.id, error=str(error), hint=error.hint)
        receipt = notice.refused(str(error), error.hint)
        fields = notice.rejection(str(error), error.hint, entry.stream, entry.id, entry.fields)
        await asyncio.to_thread(publish, process.transport, names.REJECTED, fields, token=f"rejected {entry.id}")
        await process.gate_record.pass_over(entry.id)
    else:
        applied = await process.gate_record.apply(command, entry_id=entry.id)
        metrics.EVENTS_ACCEPTED.inc()
        _log.info("command.applied", verb=command.verb, by=command.by, reason=command.reason, gate=applied.state)
        receipt = notice.applied(command.verb, applied.state)
    await asyncio.to_thread(receipts.write, process.transport, names.control_receipt_key(entry.id), receipt)
