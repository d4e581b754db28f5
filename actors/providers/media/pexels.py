"""Finds photos and clips at Pexels: GET /v1/search and /v1/videos/search, costing nothing but requests of a quota.

Each hit keeps whom to credit and its licence, as the API's terms ask. The headers that say how many requests are left
are kept to: with none left nothing is sent until the quota begins anew. What was found is where files are, not the
files: see `download`.
"""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
from msgspec import Meta

from actors.providers import outcomes, permission
from actors.providers.outcomes import Who
from actors.providers.ports import Answer, Hit, Hits, Rendition, Resend, SearchOrder
from actors.providers.weighing import TEXT_MAX_BYTES, at_most
from schema.clock import Clock, SystemClock
from schema.errors import BilledError, ConfigurationError, PipelineError, RateLimitedError
from schema.money.reservation import Reservation
from schema.settings.providers import Providers
from schema.wire import CONTROL

LICENCE = "Pexels License (https://www.pexels.com/license/)"
#: The API's own limit.
_MOST_HITS = 80
#: A side of more pixels is none.
_LONGEST_SIDE = 100_000
#: Quotas begin anew each month: nothing is waited for longer than that.
_MONTH_S = 31 * 86_400
#: `large2x` is scaled to fit into this.
_LARGE_SIZE = (1880, 1300)
_PATHS = {"photo": "/v1/search", "video": "/v1/videos/search"}


class _Sources(msgspec.Struct):
    original: str
    large2x: str


class _Photo(msgspec.Struct):
    id: int
    width: int
    height: int
    url: str
    photographer: str
    src: _Sources


class _Photos(msgspec.Struct):
    photos: list[_Photo]


class _User(msgspec.Struct):
    name: str


class _VideoFile(msgspec.Struct):
    link: str
    file_type: str
    width: int | None = None
    height: int | None = None


class _Video(msgspec.Struct):
    id: int
    url: str
    duration: Annotated[float, Meta(ge=0)]
    user: _User
    video_files: list[_VideoFile]


class _Videos(msgspec.Struct):
    videos: list[_Video]


class Pexels:
    """A finder who is paid in requests; one object a process, so that all searches see one quota."""

    service: str = "pexels"
    model: str = "search"
    resend: Resend = "free"

    def __init__(self, settings: Providers, *, economy: bool = False, clock: Clock | None = None) -> None:  # noqa: ARG002 - one kind
        if not settings.pexels_api_key:
            raise ConfigurationError("Pexels has no key", hint="set PEXELS_API_KEY")
        self._settings, self._clock = settings, clock or SystemClock()
        self._who = Who("Pexels", "PEXELS_API_KEY", "YTEMPIRE_PEXELS_BASE_URL", (settings.pexels_api_key,))
        self._spent_until: float | None = None

    def worst_case(self, order: SearchOrder) -> dict[str, int]:  # noqa: ARG002 - always the same
        """One request."""
        return {"requests": 1}

    async def call(self, order: SearchOrder, reservation: Reservation, out: Path) -> Answer[Hits]:  # noqa: ARG002 - no files
        """Search; see `Adapter` for what is raised.

        Raises:
            BilledError: nothing was found, or nothing in a form that can be read.
        """
        permission.check(reservation, service=self.service, model=self.model, worst_case=self.worst_case(order))
        self._refuse_spent_quota()
        limit_s = self._settings.search_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                response = await self._send(order, reservation)
        except TimeoutError:
            failure: PipelineError = outcomes.too_slow(self._who, limit_s)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            failure = outcomes.not_reached(self._who, error)
        except httpx.TimeoutException:
            failure = outcomes.too_slow(self._who, limit_s)
        except (httpx.TransportError, httpx.DecodingError) as error:
            failure = outcomes.broken_off(self._who, error)
        else:
            return self._answer(order, response)
        raise failure  # outside the handler: an error of the client holds the request, and with it the key

    async def _send(self, order: SearchOrder, reservation: Reservation) -> httpx.Response:
        settings = self._settings
        timeout = httpx.Timeout(settings.search_timeout_s, connect=settings.connect_timeout_s)
        async with httpx.AsyncClient(
            timeout=timeout, follow_redirects=False, event_hooks=at_most(TEXT_MAX_BYTES)
        ) as client:
            return await client.get(
                settings.pexels_base_url.rstrip("/") + _PATHS[order.kind],
                params={
                    "query": order.terms,
                    "orientation": order.orientation,
                    "per_page": min(max(order.count, 1), _MOST_HITS),
                },
                headers={"Authorization": settings.pexels_api_key, "X-Client-Request-Id": str(reservation.id)},
            )

    def _answer(self, order: SearchOrder, response: httpx.Response) -> Answer[Hits]:
        self._note_quota(response.headers)
        if not response.is_success:
            raise self._status_failure(response)
        used = {"requests": 1}
        request_id = response.headers.get("x-request-id", "")
        try:
            hits, unreadable = _hits(order, response.content), ""
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            hits, unreadable = [], f"cannot read the answer of Pexels: {error}"
        if unreadable:
            raise BilledError(unreadable, used=used, request_id=request_id, another_may_do=True)
        if not hits:
            told = f"Pexels found no {order.kind} for {order.terms!r}"
            raise BilledError(told, used=used, request_id=request_id, hint="use plainer search terms")
        return Answer(Hits(tuple(hits)), used, request_id)

    def _status_failure(self, response: httpx.Response) -> PipelineError:
        try:
            body = msgspec.json.decode(response.content, type=dict[str, Any])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            body = {}
        said = outcomes.words_of(body.get("error")) or outcomes.words_of(body.get("code"))
        return outcomes.from_status(self._who, response.status_code, said, response.headers)

    def _note_quota(self, headers: httpx.Headers) -> None:
        """Remember until when nothing is left; Pexels leaves these headers out of its 429."""
        try:
            left, reset = int(headers["X-Ratelimit-Remaining"]), float(headers["X-Ratelimit-Reset"])
        except (KeyError, ValueError):
            return
        longest = self._clock.now().timestamp() + _MONTH_S
        self._spent_until = min(reset, longest) if left <= 0 and math.isfinite(reset) else None

    def _refuse_spent_quota(self) -> None:
        if self._spent_until is None:
            return
        left_s = self._spent_until - self._clock.now().timestamp()
        if left_s > 0:
            told = f"the quota of Pexels is spent for {left_s:.0f} s more; nothing was sent"
            raise RateLimitedError(told, retry_after_s=left_s, hint="Pexels raises quotas on request")


def _hits(order: SearchOrder, body: bytes) -> list[Hit]:
    """What it found; a hit without a size that a picture can have is passed over."""
    if order.kind == "photo":
        photos = msgspec.json.decode(body, type=_Photos).photos
        return [_photo(found) for found in photos if _is_size(found.width, found.height)]
    videos = msgspec.json.decode(body, type=_Videos).videos
    return [hit for found in videos if (hit := _video(found)).renditions]


def _is_size(width: int | None, height: int | None) -> bool:
    return width is not None and height is not None and 0 < width <= _LONGEST_SIDE and 0 < height <= _LONGEST_SIDE


def _credit(kind: str, name: str, url: str) -> str:
    return CONTROL.sub(" ", f"{kind} by {name} on Pexels ({url})")


def _photo(found: _Photo) -> Hit:
    scale = min(_LARGE_SIZE[0] / found.width, _LARGE_SIZE[1] / found.height, 1.0)
    size = max(1, int(found.width * scale)), max(1, int(found.height * scale))
    large = Rendition(found.src.large2x, *size)
    original = Rendition(found.src.original, found.width, found.height)
    return Hit(
        id=str(found.id),
        kind="photo",
        page_url=found.url,
        renditions=(large, original) if scale < 1 else (original,),
        credit=_credit("Photo", found.photographer, found.url),
        licence=LICENCE,
    )


def _video(found: _Video) -> Hit:
    files = [
        Rendition(file.link, file.width or 0, file.height or 0)
        for file in found.video_files
        if file.file_type == "video/mp4" and _is_size(file.width, file.height)
    ]
    return Hit(
        id=str(found.id),
        kind="video",
        page_url=found.url,
        renditions=tuple(sorted(files, key=lambda file: file.width * file.height)),
        credit=_credit("Video", found.user.name, found.url),
        licence=LICENCE,
        duration_s=found.duration,
    )
