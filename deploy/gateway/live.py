"""The live feed: one look a second while anybody watches, and each event as it happens, to all who listen.

Listeners get what changed; one that reads too slowly loses old events, is told so, and gets the whole picture again.
Nobody watching costs nothing but the reading of the streams, which is what `/livez` proves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from deploy.exporters import Heard
from deploy.gateway.patience import soon
from schema.errors import RecordUnavailableError
from schema.flow import ADMITTED_STREAM, STAGES
from schema.wire import shown
from streams import names
from streams.observer import Observer
from streams.transport.port import Entry

if TYPE_CHECKING:
    from deploy.gateway.parts import Parts

_STREAMS: Final = (
    names.INTAKE,
    names.CONTROL,
    names.REJECTED,
    names.NOTICES,
    names.DEAD,
    ADMITTED_STREAM,
    *(stage.stream for stage in STAGES),
)
_LOOK_S: Final = 1.0
_HEAR_EVERY: Final = 2
_KEPT: Final = 200
#: What happens within so long travels together: to send costs more than what is sent.
_TOGETHER_S: Final = 0.05
#: A browser that hears nothing for longer takes the connection for dead.
KEEPALIVE_S: Final = 10.0
#: Reading that has not come back for so long does not consume any more.
_SILENT_S: Final = 15.0
_log = structlog.get_logger(__name__)


class Happened(msgspec.Struct, frozen=True):
    """One entry of a stream, its values shortened."""

    stream: str
    id: str
    fields: dict[str, str]


class Message(msgspec.Struct, frozen=True):
    """What a listener gets: `overview`, `processes`, `event`, `lost` or `alive`, and its JSON."""

    kind: str
    data: bytes

    @property
    def wire(self) -> bytes:
        """As it travels to a browser; JSON has no line ends."""
        return b"event: %b\ndata: %b\n\n" % (self.kind.encode(), self.data)


class Live:
    """The feed; `run` is its life, `listen` one listener."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._listeners: set[asyncio.Queue[Message]] = set()
        self._last: dict[str, bytes] = {}
        self._clock = parts.process.clock
        self._read_at_s = self._clock.monotonic_s()
        # its own: it reads although every other thread waits for somebody
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")
        self._watched = asyncio.Event()

    @property
    def consumes(self) -> bool:
        """Whether the streams were read a moment ago."""
        return self._clock.monotonic_s() - self._read_at_s < _SILENT_S

    async def run(self) -> None:
        """Look and read until cancelled."""
        process = self._parts.process
        loop = asyncio.get_running_loop()
        begin = partial(Observer, process.transport, _STREAMS, None, process.settings.servers.block_s)
        observer = await loop.run_in_executor(self._thread, begin)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(observer))
                tasks.create_task(self._look())
        finally:
            observer.stop()
            self._thread.shutdown(wait=False)

    async def listen(self) -> AsyncGenerator[list[Message], None]:
        """What there is now, then what changes, what comes at once together; ends when the listener goes."""
        queue: asyncio.Queue[Message] = asyncio.Queue(_KEPT)
        self._listeners.add(queue)
        self._watched.set()
        try:
            if self._last:
                yield [Message(kind, data) for kind, data in self._last.items()]
            while True:
                try:
                    messages = [await asyncio.wait_for(queue.get(), KEEPALIVE_S)]
                except TimeoutError:
                    messages = [Message("alive", b"{}")]
                await asyncio.sleep(_TOGETHER_S)
                while not queue.empty():
                    messages.append(queue.get_nowait())
                yield messages
        finally:
            self._listeners.discard(queue)
            if not self._listeners:
                self._watched.clear()
                self._last.clear()

    async def _read(self, observer: Observer) -> None:
        while True:
            entries = await asyncio.get_running_loop().run_in_executor(self._thread, observer.read)
            self._read_at_s = self._clock.monotonic_s()
            self._parts.process.watchdog.consumed()
            for entry in entries if self._listeners else ():
                self._tell(Message("event", msgspec.json.encode(_happened(entry))))

    async def _look(self) -> None:
        looks = 0
        while True:
            await self._watched.wait()
            try:
                await self._look_once(hears=looks % _HEAR_EVERY == 0 or "processes" not in self._last)
            except RecordUnavailableError:
                pass  # what is shown is as it was; /health says why
            except Exception:  # noqa: BLE001 - a look that fails is one that is not shown; the feed goes on
                _log.exception("gateway.look_failed")
            looks += 1
            await asyncio.sleep(_LOOK_S)

    async def _look_once(self, *, hears: bool) -> None:
        parts = self._parts
        if hears:
            heard: Heard = await parts.exporters.hear()
            self._changed("processes", msgspec.json.encode(heard))
        self._changed("overview", msgspec.json.encode(await soon(parts.overview.get())))

    def _changed(self, kind: str, data: bytes) -> None:
        if self._last.get(kind) != data:
            self._last[kind] = data
            self._tell(Message(kind, data))

    def _tell(self, message: Message) -> None:
        for queue in self._listeners:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(Message("lost", b"{}"))
                for kind, data in self._last.items():
                    queue.put_nowait(Message(kind, data))
            queue.put_nowait(message)


def _happened(entry: Entry) -> Happened:
    return Happened(entry.stream, entry.id, {shown(name): shown(value) for name, value in entry.fields.items()})
