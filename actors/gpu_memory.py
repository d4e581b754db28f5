"""Between a render's child and the gpu guardian: asks the child for memory back, and says when its card had none left.

A request on stream:notices that names this host, or none, reaches the child within a block of the reader. A child that
begins later has nothing to free, so what was asked before is not read; nor is anything lost when Redis is away, since
the guardian asks again while it is short of memory. A notice that cannot be published is logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import structlog

from actors.child import Line
from actors.rendering.order import RELEASE_GPU
from actors.task import Task
from schema.events import notice
from schema.events.fact import stamp
from schema.events.notice import GPU_OUT_OF_MEMORY, GPU_RELEASE, Notice
from streams import names
from streams.observer import Observer
from streams.transport.port import BusUnavailableError, Entry

_log = structlog.get_logger(__name__)
_MIB = 1 << 20


class GpuMemory:
    """For one render; a context manager of the loop that its child is run from."""

    def __init__(self, task: Task) -> None:
        self._task, self._host, self._ended = task, socket.gethostname(), threading.Event()
        #: What the child is told.
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._observer: Observer | None = None
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        """Begin to read."""
        threading.Thread(target=self._follow, name="gpu memory", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Read no more; the thread ends with its block."""
        self._ended.set()
        if self._observer is not None:
            self._observer.stop()

    def heard(self, line: Line) -> None:
        """What the child says of its card."""
        if line.released_bytes is not None:
            _log.info("gpu.released", freed_mb=line.released_bytes // _MIB)
        if line.out_of_memory:
            _log.warning("gpu.out_of_memory", why=line.out_of_memory)
            threading.Thread(target=self._say, args=(line.out_of_memory,), name="gpu notice", daemon=True).start()

    def asks_us(self, entry: Entry) -> bool:
        """Whether this entry wants memory back from us."""
        said = {name.decode(errors="replace"): text.decode(errors="replace") for name, text in entry.fields.items()}
        return said.get("type") == GPU_RELEASE and said.get("host", "") in ("", self._host)

    def _follow(self) -> None:
        self._observer = observer = self._task.observer(names.NOTICES)
        while not self._ended.is_set():
            if any(self.asks_us(entry) for entry in observer.read()):
                with contextlib.suppress(RuntimeError):  # the process has ended while we read
                    self._loop.call_soon_threadsafe(self.lines.put_nowait, RELEASE_GPU + b"\n")

    def _say(self, reason: str) -> None:
        claim = self._task.claim
        said = Notice(
            type=GPU_OUT_OF_MEMORY,
            at=stamp(datetime.now(UTC)),
            by="render",
            video=claim.video,
            stage=claim.stage,
            reason=reason,
            host=self._host,
        )
        try:
            self._task.publish(names.NOTICES, notice.to_fields(said))
        except BusUnavailableError as error:
            _log.warning("gpu.unsaid", error=str(error))
