"""Gives the order that limits GPU jobs on a host, and takes it back: `type throttle` on stream:control, as anybody may.

The order is said again with the same id for as long as it stands, and its lifting a few times, so that one that a wiped
stream lost is heard all the same; applied, it applies once. An operator who lifts it acknowledges its cause.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

from schema.events.command import FIELD_MAX_CHARS, REASON_MAX_CHARS
from streams import names
from streams.process import Process
from streams.publish import publish
from streams.transport.port import BusUnavailableError

_AGAIN_S: Final = 30.0
#: How often a lifting is said.
_LIFTS_SAID: Final = 3
_PATIENCE_S: Final = 1.0
#: What lifts an order.
_ALL: Final = "all"


class Throttle:
    """One order of one cause, given or not."""

    def __init__(self, process: Process, *, cause: str, host: str, jobs: int) -> None:
        self._process, self._cause, self._host, self._jobs = process, cause, host[:FIELD_MAX_CHARS], str(jobs)
        self.given = False
        # a former process of this guardian may have left its order: it is lifted first
        self._fields, self._left, self._due_s = self._order(_ALL, "its guardian begins anew"), 1, 0.0

    async def set(self, reason: str, *, now_s: float) -> bool:
        """Give the order for this reason, or with none lift it; says whether that is a change."""
        changed = bool(reason) is not self.given
        if changed:
            self.given = bool(reason)
            self._fields = self._order(self._jobs, reason) if reason else self._order(_ALL, "normal again")
            self._left, self._due_s = _LIFTS_SAID, now_s
        if now_s >= self._due_s and (self.given or self._left > 0):
            await self._say(now_s)
        return changed

    async def _say(self, now_s: float) -> None:
        try:
            await asyncio.to_thread(
                publish, self._process.transport, names.CONTROL, dict(self._fields), wait_s=_PATIENCE_S
            )
        except BusUnavailableError:
            return  # the next tick says it
        self._left, self._due_s = self._left - 1, now_s + _AGAIN_S

    def _order(self, jobs: str, reason: str) -> dict[str, str]:
        return {
            "type": "throttle",
            "jobs": jobs,
            "host": self._host,
            "by": self._process.name,
            "cause": self._cause,
            "reason": reason[:REASON_MAX_CHARS],
            "id": uuid.uuid4().hex,
        }
