"""Pictures that are searched for, scene by scene: found for a request, fetched with care, their makers named.

Some scenes get a clip, the first of them always; where none is found they show photos, as the others do. A clip costs a
request of its own. No picture is shown twice in a film while the search has others. A file that cannot be fetched or
used gives way to the next of the search; a scene for which none is left is refused.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import structlog
from PIL import Image

from actors.providers.chain import Buy
from actors.providers.media.backgrounds import pictures_wanted
from actors.providers.media.pictures import plain_copy
from actors.providers.ports import Adapter, Checkpoint, Copy, Found, Hit, Hits, SearchOrder
from schema.documents import Script
from schema.errors import PermanentError, RetryableError

if TYPE_CHECKING:
    from actors.providers.media.download import Downloads

_log = structlog.get_logger(__name__)
#: Words of a search; with more, stock libraries find less.
_TERMS = 3
#: Found for each picture that is wanted: some are in the film already, some cannot be fetched.
_SPARE = 5
#: Clips that are fetched for a scene, until one can be used: they are large.
_CLIP_TRIES: Final = 2
#: Shorter clips are over too soon, longer ones are large files, seconds.
_SHORTEST_S, _LONGEST_S = 4.0, 60.0


class ClipsWanted(NamedTuple):
    """How many scenes get a clip (a share of them), how a fetched one is copied, and the size of the film's frame."""

    share: float
    copy: Copy
    width: int
    height: int

    def has(self, scene: int) -> bool:
        """Whether the scene with this index is one of them; they are spread evenly, and the first comes first."""
        return math.ceil((scene + 1) * self.share) > math.ceil(scene * self.share)


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
        clips: ClipsWanted,
    ) -> None:
        """Pictures are left in `folder`, at most as large as a film of this size can show; nothing is fetched yet.

        `day` is today's, by UTC: what was found on it is not searched for again.
        """
        self._script, self._downloads, self._folder, self._checkpoint = script, downloads, folder, checkpoint
        self._day, self._clips = day, clips
        self._width, self._height = width, height
        self._shown: set[str] = set()

    async def pictures(self, number: int, adapter: Adapter[SearchOrder, Hits], buy: Buy) -> list[Found]:
        """As many pictures as the scene with this index has room for, at least one."""
        scene = self._script.scenes[number]
        count = pictures_wanted(scene)
        terms = " ".join(scene.search_terms[:_TERMS]) or scene.heading
        if not terms:
            raise PermanentError("the scene says nothing to search for", hint="give it search terms or a heading")
        found = await self._clip(number, terms, adapter, buy) if self._clips.has(number) else []
        if len(found) == count:
            return found
        try:
            return found + await self._photos(number, terms, count - len(found), adapter, buy)
        except (PermanentError, RetryableError) as error:
            if not found:
                raise
            _log.warning("picture_passed_over", page="", reason=str(error))
            return found

    async def _photos(
        self, number: int, terms: str, count: int, adapter: Adapter[SearchOrder, Hits], buy: Buy
    ) -> list[Found]:
        hits = await self._hits(number, self._order(terms, "photo", _SPARE * count), adapter, buy)
        found: list[Found] = []
        for hit in hits:
            if len(found) == count:
                break
            if (picture := await self._fetched(number, hit)) is not None:
                self._shown.add(_known_as(hit))
                found.append(picture)
        if not found:
            raise PermanentError(f"none of {len(hits)} pictures for {terms!r} can be used")
        return found

    async def _clip(self, number: int, terms: str, adapter: Adapter[SearchOrder, Hits], buy: Buy) -> list[Found]:
        """One clip, or none where none can be had: then photos do."""
        try:
            hits = await self._hits(number, self._order(terms, "video", _SPARE), adapter, buy)
        except (PermanentError, RetryableError) as error:
            _log.info("no_clip", terms=terms, reason=str(error))
            return []
        fitting = [hit for hit in hits if _SHORTEST_S <= hit.duration_s <= _LONGEST_S]
        for hit in fitting[:_CLIP_TRIES]:
            if (clip := await self._fetched_clip(number, hit)) is not None:
                self._shown.add(_known_as(hit))
                return [clip]
        return []

    def _order(self, terms: str, kind: Literal["photo", "video"], count: int) -> SearchOrder:
        upright = self._width < self._height
        return SearchOrder(
            terms, kind=kind, orientation="portrait" if upright else "landscape", count=count, day=self._day
        )

    async def _hits(
        self, number: int, order: SearchOrder, adapter: Adapter[SearchOrder, Hits], buy: Buy
    ) -> Sequence[Hit]:
        """What is found and was not shown yet."""
        empty = self._folder / f"search-{number:03d}-{order.kind}"
        empty.mkdir(parents=True, exist_ok=True)
        hits = (await buy(adapter, order, empty)).result.hits
        return [hit for hit in hits if _known_as(hit) not in self._shown]

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

    async def _fetched_clip(self, number: int, hit: Hit) -> Found | None:
        self._checkpoint()
        raw, target = self._folder / f"{hit.id}.raw", self._folder / f"stock-{number:03d}-{hit.id}"
        rendition = hit.clip_for(self._clips.width, self._clips.height)
        try:
            await self._downloads().fetch(rendition.url, raw, kind="video")
            clip = await self._clips.copy(raw, target)
        except (PermanentError, RetryableError) as error:
            _log.warning("picture_passed_over", page=hit.page_url, reason=str(error))
            return None
        finally:
            raw.unlink(missing_ok=True)
        return Found(number, clip.path, clip.width, clip.height, credit=hit.credit, licence=hit.licence, kind="clip")


def _known_as(hit: Hit) -> str:
    return f"{hit.kind} {hit.id}"
