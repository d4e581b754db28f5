"""Intake: a request of stream:intake becomes a row, and its sender a receipt; always, also while halted.

Accepted means committed: the record first, then the receipt, then the acknowledgement. What is refused goes to
stream:rejected with its fields intact, a reason and a right line to copy.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog
from structlog.contextvars import bound_contextvars

from actors.providers.audio.language import refuse_unspeakable
from actors.providers.script.samples import sample_for
from actors.rendering import styles
from schema.documents import Brief
from schema.errors import RefusedError
from schema.events import notice, request
from schema.events.fact import stamp
from schema.events.notice import Notice
from schema.events.request import Request
from schema.record.refusals import Refusals
from schema.record.videos import Accepted, Videos
from schema.settings.providers import LOCAL, Providers
from schema.telemetry import metrics, traces
from schema.wire import line, shown
from streams import names, receipts
from streams.broker import Delivered
from streams.process import Process
from streams.transport.port import Entry, Publication

ACCEPTED = "video.accepted"
#: Requests between two counts of what waits; by so many may several intakes together exceed what may wait.
_COUNTED_FOR = 100
_log = structlog.get_logger(__name__)


class Intake:
    """The consumer of stream:intake."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._videos, self._refusals = Videos(process.postgres), Refusals(process.postgres)
        #: Requests that may be accepted before those that wait are counted again.
        self._room = 0

    async def __call__(self, delivered: Delivered) -> tuple[Publication, ...]:
        """One entry: accepted or refused, with a receipt either way."""
        entry = delivered.entry
        try:
            asked = request.parse(entry.fields, self._process.settings.limits)
            _refuse_unknown_style(asked.brief)
            brief = writable(asked.brief, self._process.settings.providers)
            await self._refuse_beyond_capacity(asked.key or entry.origin_id)
        except RefusedError as error:
            return await self._refuse(entry, error)
        return await self._accept(entry, asked, brief)

    async def _accept(self, entry: Entry, asked: Request, brief: Brief) -> tuple[Publication, ...]:
        accepted: Accepted = await self._videos.accept(
            key=asked.key or entry.origin_id,
            priority=asked.priority,
            brief=brief,
            traceparent=asked.traceparent or traces.new_traceparent(),
        )
        with bound_contextvars(video=accepted.video):
            _log.info("video.accepted", topic=brief.topic, place=accepted.place, new=accepted.created)
        metrics.EVENTS_ACCEPTED.inc()
        receipt = notice.accepted(accepted.video, accepted.place, accepted.status)
        await asyncio.to_thread(receipts.write, self._process.transport, names.receipt_key(entry.origin_id), receipt)
        said = Notice(type=ACCEPTED, at=stamp(self._process.clock.now()), by=self._process.name, video=accepted.video)
        return (Publication(names.NOTICES, notice.to_fields(said)),) if accepted.created else ()

    async def _refuse(self, entry: Entry, error: RefusedError) -> tuple[Publication, ...]:
        _log.warning("event.rejected", entry=entry.origin_id, error=str(error))
        metrics.EVENTS_REJECTED.inc()
        await self._refusals.note(
            "rejected", stream=entry.origin_stream, entry_id=entry.origin_id, error=str(error), hint=error.hint
        )
        await asyncio.to_thread(
            receipts.write,
            self._process.transport,
            names.receipt_key(entry.origin_id),
            notice.refused(str(error), error.hint),
        )
        fields = notice.rejection(str(error), error.hint, entry.origin_stream, entry.origin_id, entry.fields)
        return (Publication(names.REJECTED, fields),)

    async def _refuse_beyond_capacity(self, key: str) -> None:
        """Counts those that wait once for so many requests: a long queue is not counted for each."""
        limit = self._process.settings.limits.waiting_capacity
        if self._room <= 0:
            self._room = min(_COUNTED_FOR, limit - await self._videos.waiting(most=limit))
        self._room -= 1
        if self._room < 0 and not await self._videos.known(key):
            raise RefusedError(
                f"{limit:,} videos are waiting already, which is all that may wait (YTEMPIRE_WAITING_CAPACITY)",
                hint="send it again later; the same key makes no second video",
            )


def _refuse_unknown_style(brief: Brief) -> None:
    if brief.style not in styles.names():
        raise RefusedError(
            f"style is {shown(brief.style)!r}: expected one of {', '.join(styles.names())}",
            hint=line(names.INTAKE, {"topic": brief.topic, "style": "default"}),
        )


def writable(brief: Brief, providers: Providers) -> Brief:
    """The brief with something to write from, in words that a voice can say, by the providers that are set up.

    Raises RefusedError where nobody could make it: a topic without notes needs a model that writes or the bundled
    article on it, another language than English a voice that is paid.
    """
    if not brief.notes.strip() and (sample := sample_for(brief.topic)):
        brief = msgspec.structs.replace(brief, notes=sample.notes)
    if providers.chain("audio") == (LOCAL,):
        refuse_unspeakable(f"{brief.topic}\n{brief.notes}")
    if brief.notes.strip() or providers.chain("script") != (LOCAL,):
        return brief
    raise RefusedError(
        "only a topic was given, and without a key for a language model the words must come from notes",
        hint=line(names.INTAKE, {"topic": brief.topic, "notes": "Some paragraphs of text to build the narration from"}),
    )
