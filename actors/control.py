"""The control actor: commits what stream:control says, in order, each command once, and answers with a receipt.

It keeps its place with the state, so a restart goes on where it was. A halt never waits behind other commands: a reader
of its own records it before what stands in front of it, and the order is kept all the same, since a resume lifts only
what precedes it. A halt with malformed fields halts; anything else that is malformed is rejected with a hint and
changes nothing. However many commands come, it has one page of them in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec
import structlog

from schema import flow
from schema.errors import RefusedError
from schema.events import command as commands
from schema.events import fact as facts
from schema.events import notice
from schema.events.command import Command
from schema.events.fact import Fact, fact_id, stamp
from schema.events.notice import Notice
from schema.record.announcements import Announcement, Announcements
from schema.record.commands import HOLDS, Answer, Commands
from schema.record.gate import position
from schema.telemetry import metrics
from streams import names, receipts
from streams.observer import Observer
from streams.process import Process
from streams.publish import publish
from streams.transport.port import Entry

_log = structlog.get_logger(__name__)
#: Commands that are carried out in one transaction at most.
_AT_ONCE = 50


class Said(msgspec.Struct, frozen=True):
    """An entry, and the command that it says, or why it says none."""

    entry: Entry
    meant: Command | RefusedError

    @property
    def holds(self) -> bool:
        """Whether it shuts or opens the gate."""
        return isinstance(self.meant, Command) and self.meant.verb in HOLDS


class Control:
    """What becomes of the entries of stream:control, from `place` on."""

    def __init__(self, process: Process, place: str) -> None:
        self._process, self._place = process, place
        self._commands, self._announcements = Commands(process.postgres), Announcements(process.postgres)

    async def carry_out(self, page: Sequence[Entry]) -> None:
        """Apply a page in order, and answer each entry; the place moves on behind the answers."""
        if position(page[0].id) < position(self._place):
            await self._commands.begin_anew()
            self._place = "0-0"
        for run in _runs([_understood(entry) for entry in page]):
            answers = await self._commands.apply_entries(
                [(said.entry.id, said.meant) for said in run], after=self._place
            )
            await asyncio.to_thread(self._answer, list(zip(run, answers, strict=True)))
            self._place = run[-1].entry.id
            if run[0].holds:  # gates open when their command was passed
                await self._commands.answered(self._place)
        await self._commands.answered(self._place)

    async def tell(self) -> None:
        """Say what commands left to be said, and send those that could not be sent by who wrote them."""
        while due := await self._announcements.due():
            for announcement in due:
                stream, fields, token = _event(announcement)
                await asyncio.to_thread(publish, self._process.transport, stream, fields, token=token)
            await self._announcements.said(due)
        for command in await self._commands.unsent():
            fields = commands.to_fields(command)
            await asyncio.to_thread(publish, self._process.transport, names.CONTROL, fields, token=command.id)
        await self._commands.tidy()

    def _answer(self, answered: Sequence[tuple[Said, Answer]]) -> None:
        """Write the receipts, and what was refused to its stream."""
        for said, answer in answered:
            if answer.error is not None:
                receipt = self._reject(said.entry, answer.error)
            else:
                assert isinstance(said.meant, Command)  # noqa: S101 - what says none was refused
                receipt = self._applied(said.meant, answer)
            receipts.write(self._process.transport, names.control_receipt_key(said.entry.id), receipt)

    def _reject(self, entry: Entry, error: RefusedError) -> dict[str, str]:
        metrics.EVENTS_REJECTED.inc()
        _log.warning("command.rejected", entry=entry.id, error=str(error))
        fields = notice.rejection(str(error), error.hint, entry.stream, entry.id, entry.fields)
        publish(self._process.transport, names.REJECTED, fields, token=f"rejected {entry.id}")
        return notice.refused(str(error), error.hint)

    @staticmethod
    def _applied(command: Command, answer: Answer) -> dict[str, str]:
        metrics.EVENTS_ACCEPTED.inc()
        words = {"verb": command.verb, "by": command.by, "reason": command.reason, "did": answer.did}
        _log.info("command.applied", **words, gate=answer.gate)
        return notice.applied(command.verb, answer.gate, did="" if command.verb in HOLDS else answer.did)


async def run(process: Process) -> None:
    """Follow stream:control until cancelled."""
    place = (await process.gate_record.read()).cursor
    control, observer, ahead = Control(process, place), _observer(process, place), _observer(process, place)
    halting = asyncio.create_task(_halts_first(process, ahead))
    try:
        while True:
            if page := await asyncio.to_thread(observer.read):
                await control.carry_out(page)
            await control.tell()
            process.watchdog.consumed()
            if halting.done():
                halting.result()
    finally:
        observer.stop()
        ahead.stop()
        halting.cancel()


async def _halts_first(process: Process, observer: Observer) -> None:
    """Record each halt as soon as it is in the stream; of a page of them the last is enough."""
    while True:
        halts = [entry for entry in await asyncio.to_thread(observer.read) if commands.says_halt(entry.fields)]
        if halts:
            await process.gate_record.hold_ahead(commands.parse(halts[-1].fields), entry_id=halts[-1].id)


def _observer(process: Process, cursor: str) -> Observer:
    servers = process.settings.servers
    return Observer(process.transport, (names.CONTROL,), {names.CONTROL: cursor}, block_s=servers.block_s)


def _understood(entry: Entry) -> Said:
    try:
        return Said(entry, commands.parse(entry.fields))
    except RefusedError as error:
        return Said(entry, error)


def _runs(page: Sequence[Said]) -> Iterator[list[Said]]:
    """The page in pieces: holds by themselves, since money waits for them and they wait for nobody."""
    for _, run in groupby(page, key=lambda said: said.holds):
        found = list(run)
        for start in range(0, len(found), _AT_ONCE):
            yield found[start : start + _AT_ONCE]


def _event(said: Announcement) -> tuple[str, dict[str, str], str]:
    """Where an announcement goes, what it says there, and the token that makes it one event."""
    token = f"announcement {said.id}"
    if said.type != flow.CANCELLED_FACT:
        told = Notice(type=said.type, at=stamp(said.at), by=said.by, video=said.video, reason=said.reason)
        return names.NOTICES, notice.to_fields(told), token
    fact = Fact(
        type=said.type,
        id=fact_id(said.video, "cancelled", said.id),
        video=said.video,
        stage="control",
        attempt=0,
        at=stamp(said.at),
        traceparent=said.traceparent,
        reason=said.reason,
    )
    return flow.LAST.stream, facts.to_fields(fact), token
