"""How the integrity guardian says what it found: each thing once, as a notice with its reason.

`integrity.repaired` and `integrity.quarantined` are done when they are said; `integrity.found` is what it leaves to a
person, said again only when it was gone in between, or by a guardian that begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable

from guardians.watch import Actions
from schema.record.audit import Finding
from schema.telemetry import metrics
from streams.process import Process

_ACTION = "See why, correct it by hand: ./ytempire status --since 1h"


class Report:
    """What stands of what was found, by the group of checks that looks for it."""

    def __init__(self, process: Process) -> None:
        self._actions = Actions(process)
        self._standing: dict[str, set[tuple[str, str]]] = {}

    async def repaired(self, findings: Iterable[Finding]) -> None:
        """These were mended."""
        for finding in findings:
            await self._say("integrity.repaired", finding, "warning")

    async def quarantined(self, finding: Finding) -> None:
        """Its video is failed and its files lie aside."""
        await self._say("integrity.quarantined", finding, "critical")

    async def found(self, group: str, findings: Iterable[Finding]) -> None:
        """All that this group of checks finds wrong now, and leaves as it is."""
        now = {(finding.check, finding.subject): finding for finding in findings}
        before = self._standing.get(group, set())
        self._standing[group] = set(now)
        metrics.INTEGRITY_FOUND.labels(group).set(len(now))
        for key, finding in now.items():
            if key not in before:
                await self._say("integrity.found", finding, "critical", _ACTION)

    async def said(self, type_: str, cause: str, reason: str, *, level: str = "warning") -> None:
        """Anything else that was done."""
        await self._actions.say(type_, cause=cause, reason=reason, level=level)

    async def flush(self) -> None:
        """Say what could not be said before."""
        await self._actions.flush()

    async def _say(self, type_: str, finding: Finding, level: str, action: str = "") -> None:
        reason = f"{finding.subject}: {finding.detail}"
        await self._actions.say(type_, cause=finding.check, reason=reason, level=level, action=action)
