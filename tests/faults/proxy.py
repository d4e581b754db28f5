"""A wire that breaks on order: stands in front of a server of this machine and passes on, delays, loses or cuts.

Everything is ordered by method calls, from any thread, and holds at once for what comes next; bytes that are on their
way are not called back. `passes` mends it; what was lost stays lost, so whoever lost some is cut off then, as by a
peer that has started anew. The server does not learn that a client behind a lost wire is gone: it keeps that
connection until `cut` or `forget_ghosts`, as it would keep that of a machine without power. It knows bytes and no
protocol, and is one thread: it shows what a bad wire does, not how fast a good one is.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

_HOST: Final = "127.0.0.1"
_PIECE_BYTES: Final = 1 << 16
_BACKLOG: Final = 512
_ENDS_WITHIN_S: Final = 10.0
#: To close without a farewell: linger, for no time.
_RESET: Final = struct.pack("ii", 1, 0)


class Way(msgspec.Struct, frozen=True):
    """What becomes of what is sent."""

    #: By so much each piece of an answer comes later.
    latency_s: float = 0.0
    #: 0 for as fast as it goes.
    bytes_per_s: float = 0.0
    #: Nothing arrives, in neither direction, and nobody is told.
    loses: bool = False


class _Line:
    """One client, and its connection to the server: none where the wire was lost as it came."""

    def __init__(self, client: socket.socket, server: socket.socket | None) -> None:
        self.client, self.server = client, server
        self.has_lost = server is None
        self.pumps: list[asyncio.Task[None]] = []


class Proxy:
    """Listens on a port of its own, `port`, for the server on another one, until `close`."""

    def __init__(self, server_port: int) -> None:
        self._server_port, self._way = server_port, Way()
        self._listening: socket.socket | None = _listening(0)
        self.port: int = self._listening.getsockname()[1]
        self._lines: set[_Line] = set()
        #: What the server still holds of clients that are gone.
        self._ghosts: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._tell(self._accept)

    def passes(self) -> None:
        """Pass everything on, as at the beginning; whoever lost something is cut off."""
        self._tell(self._mend)

    def slows(self, *, latency_s: float = 0.0, bytes_per_s: float = 0.0) -> None:
        """Let each piece arrive later, and take its time."""
        self._tell(self._go_on, Way(latency_s, bytes_per_s))

    def loses(self) -> None:
        """Swallow everything, both ways: a peer that is gone without a word. New ones are let in, and hear nothing."""
        self._tell(self._go_on, Way(loses=True))

    def cut(self) -> None:
        """Reset every connection there is; new ones are let in."""
        self._tell(self._cut)

    def refuses(self) -> None:
        """Reset every connection there is, and let nobody in."""
        self._tell(self._refuse)

    def forget_ghosts(self) -> None:
        """Let the server see that those who lost their wire are gone."""
        self._tell(self._reset_ghosts)

    @property
    def count(self) -> int:
        """How many clients there are."""
        return len(self._lines)

    def close(self) -> None:
        """End it, and everything that goes through it."""
        if self._loop.is_closed():
            return
        self._tell(self._refuse)
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ENDS_WITHIN_S)
        self._loop.close()

    def _tell(self, what: Callable[..., None], *arguments: object) -> None:
        """Have the thread do it, and wait until it has."""

        async def done() -> None:
            what(*arguments)

        self._wait(done())

    def _wait(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(_ENDS_WITHIN_S)

    def _accept(self) -> None:
        if self._listening is None:
            self._listening = _listening(self.port)
        self._begin(self._let_in(self._listening))

    def _go_on(self, way: Way) -> None:
        self._way = way

    def _mend(self) -> None:
        self._way = Way()
        for line in [line for line in self._lines if line.has_lost]:
            if line.server is not None:
                self._ghosts.append(line.server)
            line.server = None
            self._end_line(line)
        if self._listening is None:
            self._accept()

    def _cut(self) -> None:
        for line in list(self._lines):
            self._end_line(line)
        self._reset_ghosts()

    def _reset_ghosts(self) -> None:
        for ghost in self._ghosts:
            _reset(ghost)
        self._ghosts.clear()

    def _refuse(self) -> None:
        if self._listening is not None:
            self._loop.remove_reader(self._listening)
            self._listening.close()
            self._listening = None
        self._cut()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _let_in(self, listening: socket.socket) -> None:
        while True:
            client, _ = await self._loop.sock_accept(listening)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setblocking(False)  # noqa: FBT003 - the standard library's own way
            self._begin(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        server = None
        if not self._way.loses:
            server = _unconnected()
            try:
                await self._loop.sock_connect(server, (_HOST, self._server_port))
            except OSError:
                _reset(client)
                _reset(server)
                return
        line = _Line(client, server)
        self._lines.add(line)
        if server is not None:
            line.pumps = [
                self._begin(self._pump(line, client, server)),
                self._begin(self._pump(line, server, client, is_answer=True)),
            ]

    async def _pump(self, line: _Line, source: socket.socket, sink: socket.socket, *, is_answer: bool = False) -> None:
        """Carry what comes in one direction; whoever ends it ends the line, unless that is lost, too."""
        with contextlib.suppress(OSError):
            while piece := await self._loop.sock_recv(source, _PIECE_BYTES):
                way = self._way
                takes_s = len(piece) / way.bytes_per_s if way.bytes_per_s else 0.0
                await asyncio.sleep(takes_s + (way.latency_s if is_answer else 0.0))
                if self._way.loses:
                    line.has_lost = True
                if not line.has_lost:  # what comes after a gap is no use to anybody
                    await self._loop.sock_sendall(sink, piece)
        if self._way.loses:
            line.has_lost = True  # nor does the other side hear of the end
        else:
            self._end_line(line)

    def _end_line(self, line: _Line) -> None:
        """Let both sides see a reset."""
        self._lines.discard(line)
        for pump in line.pumps:
            if pump is not asyncio.current_task():
                pump.cancel()
        for end in (line.client, line.server):
            if end is not None and end.fileno() >= 0:
                self._loop.remove_reader(end)
                self._loop.remove_writer(end)
                _reset(end)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.close()


def _unconnected() -> socket.socket:
    made = socket.socket()
    made.setblocking(False)  # noqa: FBT003 - the standard library's own way
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _listening(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((_HOST, port))
    made.listen(_BACKLOG)
    made.setblocking(False)  # noqa: FBT003 - the standard library's own way
    return made
