"""Very many requests at once (row 13): each is answered, and neither Redis nor intake grows with what was refused.

They are sent as fast as one connection takes them. Of the larger floods most find no room: the queue and what may wait
beyond it are small there, so that what is accepted can be made in a minute. What was measured is said.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import psutil

from streams import names
from tests.faults.case import Case, Needs
from tests.faults.ground import Ground

_PIECE: Final = 1000
#: Where the large floods are played.
_NARROW: Final = Needs(environ=(("YTEMPIRE_QUEUE_CAPACITY", "20"), ("YTEMPIRE_WAITING_CAPACITY", "40")))
#: An actor does not keep what it has refused; Redis keeps the entry, its receipt and its letter.
_INTAKE_MAY_GROW_BYTES: Final = 64 * 1024**2
_REDIS_MAY_KEEP_BYTES: Final = 4096
_ANSWERED_WITHIN_S, _ENDED_WITHIN_S = 1200.0, 240.0
_MB: Final = 1024**2

_ANSWERED = """
SELECT (SELECT count(*) FROM video_queue) + (SELECT count(*) FROM refused_events WHERE from_stream = 'stream:intake')"""
_REFUSED = "SELECT count(*) FROM refused_events WHERE from_stream = 'stream:intake'"


class _Redis:
    """One connection, on which many commands are sent before the first answer is read."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._file = self._socket.makefile("rb")

    def ask(self, commands: Sequence[Sequence[str]]) -> list[object]:
        """Their answers, in order."""
        self._socket.sendall(b"".join(_spelled(command) for command in commands))
        return [self._answer() for _ in commands]

    def used_bytes(self) -> int:
        """What it has in memory."""
        (told,) = self.ask([("INFO", "memory")])
        return int(str(told).split("used_memory:")[1].split()[0])

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def _answer(self) -> object:
        kind, rest = (line := self._file.readline())[:1], line[1:-2].decode()
        if kind == b"$":
            return self._file.read(int(rest) + 2)[:-2].decode() if int(rest) >= 0 else None
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        assert kind != b"-", rest
        return rest


def _spelled(words: Sequence[str]) -> bytes:
    raw = [word.encode() for word in words]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in raw)


class _Growth:
    """The largest that intake and Redis have been since the beginning."""

    def __init__(self, ground: Ground, redis: _Redis) -> None:
        self._intake, self._redis = psutil.Process(ground.factory.pid_of("intake")), redis
        self.intake_first = self.intake = self._intake.memory_info().rss
        self.redis_first = self.redis = redis.used_bytes()

    def look(self) -> None:
        """Once more."""
        self.intake = max(self.intake, self._intake.memory_info().rss)
        self.redis = max(self.redis, self._redis.used_bytes())


def _flooded(ground: Ground, count: int) -> None:
    """As many requests at once: each is accepted or told why not, and memory stays bounded."""
    redis = _Redis(ground.factory.redis_port)
    try:
        _flood(ground, redis, count)
    finally:
        redis.close()
    ground.until_ended(within_s=_ENDED_WITHIN_S)
    ground.until_ended(*ground.submit(1, priority="9"))  # there is room again


def _flood(ground: Ground, redis: _Redis, count: int) -> None:
    answered, refused = ground.value(_ANSWERED), ground.value(_REFUSED)
    growth, began_s = _Growth(ground, redis), time.monotonic()
    entries = _sent(ground, redis, count)
    sent_s = time.monotonic() - began_s

    def all_answered() -> bool:
        growth.look()
        return bool(ground.value(_ANSWERED) == answered + count)

    ground.until(all_answered, within_s=_ANSWERED_WITHIN_S)
    answered_s = time.monotonic() - began_s
    told = _told(ground, redis, entries)
    growth.look()
    refused = ground.value(_REFUSED) - refused
    assert told == refused, f"I8: {refused} requests were refused, and {told} senders have a reason"
    kept = (growth.redis - growth.redis_first) / count
    ground.figures.append(
        f"{count:,} requests: sent in {sent_s:.1f} s, answered in {answered_s:.1f} s ({count / answered_s:,.0f}/s), "
        f"{refused:,} refused; intake {growth.intake_first / _MB:.0f} to {growth.intake / _MB:.0f} MB, "
        f"Redis {growth.redis_first / _MB:.1f} to {growth.redis / _MB:.1f} MB ({kept:,.0f} bytes each)"
    )
    assert growth.intake - growth.intake_first < _INTAKE_MAY_GROW_BYTES, ground.figures[-1]
    assert kept < _REDIS_MAY_KEEP_BYTES, ground.figures[-1]


def _sent(ground: Ground, redis: _Redis, count: int) -> list[str]:
    flood, entries = f"{ground.rng.getrandbits(32):08x}", list[str]()
    for first in range(0, count, _PIECE):
        numbers = range(first, min(first + _PIECE, count))
        asked = [("XADD", names.INTAKE, "*", "topic", f"Flood {flood} {one}", "length", "10s") for one in numbers]
        entries += map(str, redis.ask(asked))
    return entries


def _told(ground: Ground, redis: _Redis, entries: list[str]) -> int:
    """How many senders were refused, each with a reason and a hint; all others have a video."""
    refused = 0
    for first in range(0, len(entries), _PIECE):
        piece = entries[first : first + _PIECE]

        def receipts(piece: list[str] = piece) -> list[dict[str, str]]:
            told = redis.ask([("HGETALL", names.receipt_key(entry)) for entry in piece])
            pairs = [one for one in told if isinstance(one, list) and one]
            return [dict(zip(one[::2], one[1::2], strict=True)) for one in pairs] if len(pairs) == len(piece) else []

        for receipt in ground.until(receipts):  # a row is committed a moment before its receipt is written
            if "video" not in receipt:
                refused += 1
                assert all(receipt.get(what) for what in ("error", "hint")), f"I8: a sender was told {receipt}"
    return refused


def cases() -> Iterator[Case]:
    """Of row 13."""
    yield Case(13, "150 at once", partial(_flooded, count=150))
    yield Case(13, "1,000 at once", partial(_flooded, count=1_000), needs=_NARROW)
    yield Case(13, "100,000 at once", partial(_flooded, count=100_000), needs=_NARROW, once=True)
