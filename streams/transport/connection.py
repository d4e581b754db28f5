"""The two clients of a process, and what they ride out.

One client blocks in reads, one sends commands; neither repeats anything by itself, since a repeated XADD is a second
event. Lost connections, a server that loads, fails over or is full are waited out with jitter, never in a hot loop; a
loss is logged once, and so is the return. A wrong password or a wrong type is not waited out: it raises.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any, Final, TypeVar

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from streams.transport.port import BusClosedError, BusUnavailableError

T = TypeVar("T")

#: What a command is made of.
Argument = str | bytes | int | float

_CONNECT_TIMEOUT_S: Final = 2.0
_COMMAND_TIMEOUT_S: Final = 5.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0
#: Answers of a server that will do it later; redis-py has exceptions of its own for only some of them.
_LATER_CODES: Final = ("BUSY", "LOADING", "READONLY", "MASTERDOWN", "OOM", "MISCONF", "NOREPLICAS", "TRYAGAIN")
_LATER_ERRORS: Final = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.ReadOnlyError,
    redis.OutOfMemoryError,
    redis.exceptions.MasterDownError,
    redis.exceptions.TryAgainError,
)

log = structlog.get_logger(__name__)


class UnsafeServerError(Exception):
    """A server that may lose events, or lacks what the bus needs; the message names the setting."""


def passes(error: Exception) -> bool:
    """Whether waiting may cure this."""
    if isinstance(error, redis.AuthenticationError | redis.exceptions.AuthorizationError):
        return False
    if isinstance(error, _LATER_ERRORS):
        return True
    return isinstance(error, redis.ResponseError) and str(error).startswith(_LATER_CODES)


def may_have_run(error: Exception) -> bool:
    """Whether the server may have done what was asked although no answer came."""
    return isinstance(error, redis.ConnectionError | redis.TimeoutError)


def pauses_s() -> Iterator[float]:
    """Endless waits between tries: doubling up to a bound, with jitter so that processes do not return in step."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


class Wires:
    """Connections of a client that are asked directly, which takes half the time that the client itself takes.

    Nobody looks whether one is still good before it is used: the answer says so. Thread-safe; a wire is never shared.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        #: Not in use; they stay out of the pool, which closes them all the same at its end.
        self._idle: deque[Any] = deque()

    def ask(self, *command: Argument) -> Any:  # noqa: ANN401 - a server may answer anything
        """What the server answers; raises what redis-py raises, and repeats nothing."""
        try:
            wire = self._idle.pop()
        except IndexError:
            wire = self._pool.get_connection()
        try:
            wire.send_command(*command, check_health=False)
            answer = wire.read_response()
        except redis.ResponseError:  # an answer, too
            self._idle.append(wire)
            raise
        except BaseException:
            wire.disconnect()  # whatever still comes on it belongs to nobody
            self._idle.append(wire)
            raise
        self._idle.append(wire)
        return answer


class Connection:
    """The clients, and the two ways to use them: `call` waits as long as it takes, `attempt` tries once."""

    def __init__(self, url: str, *, block_s: float, on_away: Callable[[], None] | None = None) -> None:
        """`on_away` is told, in the thread that waits, of each try that found no server."""
        self.closed = threading.Event()
        self.commands = _client(url, timeout_s=_COMMAND_TIMEOUT_S)
        # A blocking read that found nothing answers after block_s: only a dead connection takes twice as long.
        self.blocking = _client(url, timeout_s=max(2 * block_s, 1.0))
        #: The short ways through both, for what every job needs.
        self.ask, self.ask_patiently = Wires(self.commands).ask, Wires(self.blocking).ask
        #: Threads that wait for Redis at this moment.
        self._waiting: set[int] = set()
        self._away = False
        self._waiting_lock = threading.Lock()
        self._pauses = threading.local()
        self._on_away = on_away

    def call(
        self, work: Callable[[], T], *, wait_s: float | None = None, failed: Callable[[Exception], None] | None = None
    ) -> T:
        """What `work` returns, repeated until it does.

        Args:
            work: Sends commands; must be safe to repeat.
            wait_s: Raise BusUnavailableError after so long; None waits for ever.
            failed: Told of each failure that is waited out.
        """
        deadline_s = None if wait_s is None else monotonic() + wait_s
        for pause_s in pauses_s():
            if self.closed.is_set():
                break
            try:
                result = work()
            except redis.RedisError as error:
                self._failed(error)
                if failed is not None:
                    failed(error)
                if deadline_s is not None and monotonic() + pause_s > deadline_s:
                    self._waiting.discard(threading.get_ident())
                    raise BusUnavailableError(f"no answer from Redis within {wait_s} s: {error}") from error
            else:
                self._succeeded()
                return result
            self.closed.wait(pause_s)
        raise BusClosedError("the transport is closed")

    def attempt(self, work: Callable[[], T], otherwise: T) -> T:
        """What `work` returns, or `otherwise` after a pause that grows with each failure in a row of this thread."""
        if self.closed.is_set():
            sleep(_FIRST_PAUSE_S)  # whoever still asks in a loop does not spin
            return otherwise
        try:
            result = work()
        except BusClosedError:
            return otherwise
        except redis.RedisError as error:
            self._failed(error)
            self._pauses.it = getattr(self._pauses, "it", None) or pauses_s()
            self.closed.wait(next(self._pauses.it))
            return otherwise
        self._succeeded()
        self._pauses.it = None
        return result

    def close(self) -> None:
        """Ends all waiting, closes both clients."""
        self.closed.set()
        self.commands.close()
        self.blocking.close()

    def _failed(self, error: redis.RedisError) -> None:
        """Notes that this thread waits for Redis, aloud if it is the first; raises what waiting cannot cure."""
        if self.closed.is_set():
            return
        if not passes(error):
            raise error
        with self._waiting_lock:
            self._waiting.add(threading.get_ident())
            first, self._away = not self._away, True
        if self._on_away is not None:
            self._on_away()
        if first:
            log.warning("redis.away", error=f"{type(error).__name__}: {error}", hint="waiting for it to come back")

    def _succeeded(self) -> None:
        if not self._away:
            return
        with self._waiting_lock:
            self._waiting.discard(threading.get_ident())
            back = self._away and not self._waiting
            self._away = not back
        if back:
            log.info("redis.back")


def _client(url: str, *, timeout_s: float) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_s,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        # One shape of replies, whatever the client's default becomes.
        protocol=2,
    )
