"""Keys that people read: receipts, and the queue as the record has it. Losing them loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from streams.transport.connection import Connection


class Mirrors:
    """Writes each key as a whole, so that repeating a write changes nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put_receipt(self, key: str, fields: Mapping[str, str], ttl_s: float) -> None:
        """Keeps a receipt, in place of an older one."""
        values: dict[Any, Any] = dict(fields)

        def write() -> None:
            with self._connection.commands.pipeline(transaction=True) as together:
                together.delete(key)
                together.hset(key, mapping=values)
                together.pexpire(key, round(1000 * ttl_s))
                together.execute()

        self._connection.call(write)

    def get_receipt(self, key: str) -> dict[str, str] | None:
        """The receipt, or None."""
        found: Any = self._connection.call(partial(self._connection.commands.hgetall, key))
        return {name.decode(): value.decode(errors="replace") for name, value in found.items()} or None

    def mirrored(self, queue_key: str, set_key: str) -> tuple[dict[str, float], set[str]]:
        """What both hold, read together."""

        def read() -> tuple[dict[str, float], set[str]]:
            with self._connection.commands.pipeline(transaction=True) as together:
                together.zrange(queue_key, 0, -1, withscores=True)
                together.smembers(set_key)
                queued, members = together.execute()
            return {name.decode(): score for name, score in queued}, {name.decode() for name in members}

        return self._connection.call(read)

    def mirror(self, queue_key: str, scores: Mapping[str, float], set_key: str, members: set[str]) -> None:
        """Replaces a sorted set and a set."""

        def write() -> None:
            with self._connection.commands.pipeline(transaction=True) as together:
                together.delete(queue_key, set_key)
                if scores:
                    together.zadd(queue_key, dict(scores))
                if members:
                    together.sadd(set_key, *members)
                together.execute()

        self._connection.call(write)
