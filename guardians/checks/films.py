"""Finished films against their checksums: new ones at once, all others by turns, one at a time.

A film that is missing or has changed is made whole from its working copy, where that is what it was. Else its video is
quarantined: failed with that reason, its files moved aside, so that nobody publishes it. Where several in a row are
wrong it is rather the store that is: then they are only said. A store that cannot be read says nothing about a film.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

from guardians.checks.report import Report
from schema.errors import ArtifactError
from schema.record.audit import Audit, Finding
from schema.record.films import Films, Finished
from streams.process import Process

_CHECK: Final = "film"
#: The film and what goes with it.
_BESIDE: Final = (".mp4", ".srt", ".vtt", ".jpg", ".png")
_NEW_AT_ONCE: Final = 3
#: Films in a row that may be quarantined.
_IN_A_ROW: Final = 3


class FilmCheck:
    """Where the turns are, and how many films in a row were wrong."""

    def __init__(self, process: Process, report: Report) -> None:
        self._process, self._report = process, report
        self._films, self._audit, self._artifacts = Films(process.postgres), Audit(process.postgres), process.artifacts
        self._since: datetime | None = None
        self._next_s = 0.0
        self._wrong = 0

    async def look(self) -> None:
        """New films, or else the one whose turn it is."""
        if self._since is None:
            self._since = await self._films.now()
        new = await self._films.completed_after(self._since, most=_NEW_AT_ONCE)
        for film in new:
            await self._judge(film)
            self._since = film.ended_at
        now_s = self._process.clock.monotonic_s()
        if not new and now_s >= self._next_s:
            self._next_s = now_s + self._process.settings.limits.film_check_s
            if (film_in_turn := await self._films.next()) is not None:
                await self._judge(film_in_turn)

    async def _judge(self, film: Finished) -> None:
        if film.final is None:
            return  # a verdict of another version: nothing to compare with
        try:
            fault = await asyncio.to_thread(self._artifacts.fault, film.final)
            if fault and await self._restored(film):
                await self._report.repaired([Finding(_CHECK, film.video, f"{fault}: restored from its working copy")])
                fault = ""
        except ArtifactError as error:
            await self._report.found("store", [Finding("store", "artifacts", str(error))])
            return
        await self._report.found("store", [])
        if not fault:
            self._wrong = 0
            await self._report.found("films", [])
            return
        self._wrong += 1
        if self._wrong > _IN_A_ROW:
            words = f"{self._wrong} films in a row are wrong, the last: {fault}; is the store the right one?"
            await self._report.found("films", [Finding("many_films", "artifacts", words)])
            return
        await self.quarantine(film.video, fault, check=_CHECK)

    async def quarantine(self, video: str, reason: str, *, check: str) -> None:
        """Move its files aside first: a crash in between is found again, as a film that is missing."""
        aside = f"quarantine/{video}"
        for path in (*(f"videos/{video}{suffix}" for suffix in _BESIDE), f"work/{video}"):
            await asyncio.to_thread(self._artifacts.set_aside, path, aside)
        if await self._audit.quarantine(video, reason):
            where = self._artifacts.location(aside)
            await self._report.quarantined(Finding(check, video, f"{reason}; its files are in {where}"))

    async def _restored(self, film: Finished) -> bool:
        """Whether the working copy is what it was, and now has the final name again."""
        if film.final is None or film.working is None or film.working.sha256 != film.final.sha256:
            return False
        if await asyncio.to_thread(self._artifacts.fault, film.working):
            return False
        await asyncio.to_thread(self._artifacts.promote, film.working, film.final.path)
        return True
