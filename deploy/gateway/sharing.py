"""One answer for all who ask at about the same time: the servers are asked no more often, however many ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """An answer that is made when somebody asks, and given to whoever asks while it is made or is fresh."""

    def __init__(self, make: Callable[[], Awaitable[T]], fresh_s: float) -> None:
        self._make, self._fresh_s = make, fresh_s
        self._made: asyncio.Future[T] | None = None
        self._begun_s = 0.0

    async def get(self) -> T:
        """The answer, begun no longer than `fresh_s` ago where it was made before; what failed is made again."""
        made = self._made
        if made is None or (made.done() and (self._is_old() or made.cancelled() or made.exception() is not None)):
            self._begun_s = time.monotonic()
            made = self._made = asyncio.ensure_future(self._make())
        return await asyncio.shield(made)  # one who goes away leaves it to the others

    def forget(self) -> None:
        """Something has changed: whoever asks from now on gets a new one."""
        self._made = None

    def _is_old(self) -> bool:
        return time.monotonic() - self._begun_s > self._fresh_s
