"""Follows the streams for alerts, and sends what is due: each in a task of its own, neither waiting for the other.

Where no address is set, alerts are lines of the log alone, which is said once. An address that does not answer is
tried again later, ever more seldom, for a day; meanwhile everything else goes on. What happened while this process was
down is told when it is back, as far as the streams keep it; what is older than a day is left to the console.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from deploy.reporting.alerts import STREAMS, alert_of
from deploy.reporting.delivery import Target, deliver, targets
from schema.errors import ConfigurationError
from schema.record.messages import Message, Messages
from streams.observer import Observer
from streams.process import Process

_READER: Final = "messages"
#: Between two looks for what is due, and one after a failure of ours.
_LOOK_S: Final = 2.0
_TIDY_EVERY_S: Final = 3600.0
_log = structlog.get_logger(__name__)


class Messenger:
    """Alerts from the streams into the record, and from the record to people."""

    def __init__(self, process: Process) -> None:
        self._process, self._settings = process, process.settings.operations
        self.messages = Messages(
            process.postgres, repeat_s=self._settings.alerts_repeat_s, per_hour=self._settings.alerts_per_hour
        )
        self._targets: tuple[Target, ...] = ()
        self._tidied_s = -_TIDY_EVERY_S
        #: How far the streams were read, as the record has it.
        self._kept: dict[str, str] = {}

    async def run(self) -> None:
        """Follow and send until cancelled; `prepare` comes first."""
        follower = asyncio.create_task(self._follow())
        try:
            while True:
                await self._send_all()
                await asyncio.sleep(_LOOK_S)
        finally:
            follower.cancel()
            await asyncio.wait({follower})

    async def prepare(self) -> None:
        """Read the addresses; a wrong one is said, and the factory goes on without any."""
        try:
            self._targets = await asyncio.to_thread(targets, self._settings.alerts_to)
        except ConfigurationError as error:
            _log.error("alerts.misconfigured", error=str(error), hint=error.hint)
        if not self._targets:
            _log.info("alerts.only_logged", hint="set YTEMPIRE_ALERTS_TO to be told")

    async def tell(self, messages: Sequence[Message], cursors: dict[str, str] | None = None) -> None:
        """Log these, and have them sent where there is somebody to send them to."""
        for message in messages:
            _log.warning("alert", about=message.title, cause=message.cause, level=message.level, body=message.body)
        await self.messages.post(messages if self._targets else (), reader=_READER, cursors=cursors)

    async def _follow(self) -> None:
        servers = self._process.settings.servers
        observer = Observer(
            self._process.transport, STREAMS, await self.messages.cursors(_READER) or None, block_s=servers.block_s
        )
        try:
            while True:
                await self._hear(observer)
        finally:
            observer.stop()

    async def _hear(self, observer: Observer) -> None:
        """Read once; what cannot be understood is logged, and the next is read all the same."""
        entries, now, found = await asyncio.to_thread(observer.read), self._now(), []
        for entry in entries:
            try:
                found.append(alert_of(entry, level=self._settings.alerts_level, now=now))
            except Exception:  # noqa: BLE001 - anybody may write to these streams
                _log.exception("alerts.unreadable", entry=f"{entry.stream}/{entry.id}")
        if observer.cursors != self._kept:
            self._kept = observer.cursors
            await self.tell([message for message in found if message is not None], self._kept)

    async def _send_all(self) -> None:
        try:
            while await self.send_next():
                pass
            if (now_s := self._process.clock.monotonic_s()) - self._tidied_s > _TIDY_EVERY_S:
                self._tidied_s = now_s
                await self.messages.forget_old()
        except Exception:  # noqa: BLE001 - whatever it was, the next message may go
            _log.exception("alerts.unsent")

    async def send_next(self) -> bool:
        """Send one that is due; False where none is."""
        if not self._targets or (due := await self.messages.take(self._now())) is None:
            return False
        body = due.body
        if due.repeats:
            body += f"\n(and {due.repeats} times more since this was last told)"
        sent = await asyncio.to_thread(deliver, self._targets, due.title, body, level=due.level, but_not=due.delivered)
        error = "; ".join(f"{where}: {why}" for where, why in sent.failed.items())
        state = await self.messages.settle(due, self._now(), delivered=sent.delivered, error=error)
        if error:
            _log.warning("alert.not_taken", about=due.title, tries=due.tries, state=state, error=error)
        return True

    def _now(self) -> datetime:
        return self._process.clock.now()
