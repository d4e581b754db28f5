"""What a guardian orders: holds and modes, into the record first, and on stream:control so that all hear of it at once.

Where Redis does not answer, processes read it from the record within about a second. An order for a cause that an
operator has acknowledged is not given, until the guardian says that the cause is gone.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Final, Literal

import msgspec

from schema.errors import RefusedError
from schema.events import command as commands
from schema.events.command import REASON_MAX_CHARS, Command
from schema.record.commands import NOTHING, Commands
from streams import names
from streams.process import Process
from streams.publish import publish
from streams.transport.port import BusUnavailableError

_PATIENCE_S: Final = 1.0


class Standing(msgspec.Struct, frozen=True):
    """What of a guardian's own is in force, and what an operator has acknowledged: causes, and (video, cause)."""

    holds: frozenset[str]
    modes: frozenset[tuple[str, str]]
    acknowledged_holds: frozenset[str]
    acknowledged_modes: frozenset[tuple[str, str]]


class Orders:
    """The orders of one guardian; each method says whether it changed something."""

    def __init__(self, process: Process) -> None:
        self._process, self._by = process, process.name
        self._commands = Commands(process.postgres)
        self._nothing: frozenset[str] = frozenset()
        self.standing = Standing(self._nothing, frozenset(), self._nothing, frozenset())

    async def read(self) -> None:
        """See what stands now."""
        record = self._process.gate_record
        truth = await record.read()
        given = await record.acknowledged_orders(self._by)
        self.standing = Standing(
            holds=frozenset(hold.cause for hold in truth.holds if hold.by == self._by),
            modes=frozenset(
                (order.scope, order.cause) for order in truth.orders if (order.kind, order.by) == ("mode", self._by)
            ),
            acknowledged_holds=await record.acknowledged(self._by),
            acknowledged_modes=frozenset((scope, cause) for kind, scope, cause in given if kind == "mode"),
        )

    async def hold(self, kind: Literal["halt", "pause"], cause: str, reason: str) -> bool:
        """Hold the factory."""
        if cause in self.standing.holds | self.standing.acknowledged_holds:
            return False
        return await self._give(Command(verb=kind, reason=reason, by=self._by, cause=cause))

    async def release(self, cause: str, reason: str) -> bool:
        """The cause is gone: its hold is lifted, and what an operator acknowledged of it is forgotten."""
        known = cause in self.standing.holds
        if not known and cause not in self.standing.acknowledged_holds:
            return False
        await self._give(Command(verb="resume", reason=reason, by=self._by, cause=cause))
        return known

    async def save(self, cause: str, reason: str, video: str = "") -> bool:
        """Economy mode for a video, or for all."""
        if (video, cause) in self.standing.modes | self.standing.acknowledged_modes:
            return False
        return await self._give(
            Command(verb="mode", mode="economy", video=video, reason=reason, by=self._by, cause=cause)
        )

    async def spend(self, cause: str, reason: str) -> bool:
        """The cause is gone: its economy mode for all is lifted, likewise."""
        known = ("", cause) in self.standing.modes
        if not known and ("", cause) not in self.standing.acknowledged_modes:
            return False
        await self._give(Command(verb="mode", mode="normal", reason=reason, by=self._by, cause=cause))
        return known

    async def _give(self, command: Command) -> bool:
        """Give it; False where the record refuses, as for a video that has ended meanwhile."""
        command = msgspec.structs.replace(command, reason=command.reason[:REASON_MAX_CHARS], id=uuid.uuid4().hex)
        try:
            answer = await self._commands.apply(command)
        except RefusedError:
            return False
        if answer.did.startswith(NOTHING):  # acknowledged since `read`
            return False
        try:
            await asyncio.to_thread(self._say, command)
        except BusUnavailableError:
            return True  # the control actor says it
        return True

    def _say(self, command: Command) -> None:
        fields = commands.to_fields(command)
        publish(self._process.transport, names.CONTROL, fields, token=command.id, wait_s=_PATIENCE_S)
