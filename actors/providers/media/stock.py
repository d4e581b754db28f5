"""Pictures that are searched for, scene by scene: found for a request, fetched with care, their makers named.

No picture is shown twice in a film while the search has others. A file that cannot be fetched or used gives way to the
next of the search; a scene for which none is left is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from PIL import Image

from actors.providers.chain import Buy
from actors.providers.media.backgrounds import pictures_wanted
from actors.providers.media.pictures import plain_copy
from actors.providers.ports import Adapter, Checkpoint, Found, Hit, Hits, SearchOrder
from schema.documents import Script
from schema.errors import PermanentError, RetryableError

if TYPE_CHECKING:
    from actors.providers.media.download import Downloads

_log = structlog.get_logger(__name__)
#: Words of a search; with more, stock libraries find less.
_TERMS = 3
#: Found for each picture that is wanted: some are in the film already, some cannot be fetched.
_SPARE = 5


class Stock:
    """The search for one film."""

    def __init__(
        self,
        script: Script,
        downloads: Callable[[], Downloads],
        folder: Path,
        *,
        width: int,
        height: int,
        day: str,
        checkpoint: Checkpoint,
    ) -> None:
        """Pictures are left in `folder`, at most as large as a film of this size can show; nothing is fetched yet.

        `day` is today's, by UTC: what was found on it is not searched for again.
        """
        self._script, self._downloads, self._folder, self._checkpoint = script, downloads, folder, checkpoint
        self._day = day
        self._width, self._height = width, height
        self._shown: set[str] = set()

    async def pictures(self, number: int, adapter: Adapter[SearchOrder, Hits], buy: Buy) -> list[Found]:
        """As many pictures as the scene with this index has room for, at least one."""
        scene = self._script.scenes[number]
        count = pictures_wanted(scene)
        terms = " ".join(scene.search_terms[:_TERMS]) or scene.heading
        if not terms:
            raise PermanentError("the scene says nothing to search for", hint="give it search terms or a heading")
        order = SearchOrder(
            terms,
            kind="photo",
            orientation="landscape" if self._width >= self._height else "portrait",
            count=_SPARE * count,
            day=self._day,
        )
        empty = self._folder / f"search-{number:03d}"
        empty.mkdir(parents=True, exist_ok=True)
        hits = (await buy(adapter, order, empty)).result.hits
        found: list[Found] = []
        for hit in hits:
            if len(found) == count:
                break
            if hit.id not in self._shown and (picture := await self._fetched(number, hit)) is not None:
                self._shown.add(hit.id)
                found.append(picture)
        if not found:
            raise PermanentError(f"none of {len(hits)} pictures for {terms!r} can be used")
        return found

    async def _fetched(self, number: int, hit: Hit) -> Found | None:
        self._checkpoint()
        raw, target = self._folder / f"{hit.id}.raw", self._folder / f"stock-{number:03d}-{hit.id}.jpg"
        try:
            await self._downloads().fetch(hit.rendition_for(self._width, self._height).url, raw, kind="image")
        except (PermanentError, RetryableError) as error:
            _log.warning("picture_passed_over", page=hit.page_url, reason=str(error))
            return None
        kept = await asyncio.to_thread(plain_copy, raw, target, self._width, self._height)
        raw.unlink(missing_ok=True)
        if kept is None:
            return None
        with Image.open(kept) as picture:
            return Found(number, kept, picture.width, picture.height, credit=hit.credit, licence=hit.licence)
