"""The child process: `python -m actors.rendering film ORDER.json`, `inspect ORDER.json` or `clip ORDER.json`.

Speaks in JSON lines on its standard output: `{"frame": n, "of": m}` at most every half second, and at the end
`{"result": ...}` or, with exit code 1, `{"error": {"kind", "message", "hint"}}`; `{"out_of_memory": why}` when a card
had no memory left. A line `{"release_gpu":true}` on its standard input frees what its card keeps and does not use, at
once and beside the frames; `{"released_bytes": n}` answers, or nothing where no card is in use. SIGTERM stops it
between two frames, with nothing left of the film but parts where the order keeps them, exit code 143. It dies with
its parent, at once and in native code too: the kernel kills it where it can (Linux), and it ends itself when its
standard input does, which the parent must keep open.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Literal, NoReturn, TypeVar

import msgspec

from actors.rendering.order import RELEASE_GPU, ClipOrder, FilmOrder, InspectionOrder, Problem
from schema.errors import PermanentError, RetryableError

_PROGRESS_S = 0.5
_STOPPED, _ORPHANED = 128 + signal.SIGTERM, 1
_PR_SET_PDEATHSIG = 1
_LINE_BYTES = 4096
#: Larger than a frame in 1080p, which is used again at once, and smaller than a picture.
_LARGE_BYTES = 4 << 20
#: What stays at hand for the next frames: asking for it each time would cost a tenth of a second.
_KEPT_BYTES = 8 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
Order = TypeVar("Order")


class Stopped(BaseException):
    """SIGTERM has come; like KeyboardInterrupt it is no error."""


class Speaker:
    """Prints progress, but not too often."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s, self._spoken_s = monotonic_s, -_PROGRESS_S

    def progress(self, frame: int, of: int) -> None:
        """Say how far it is."""
        now_s = self._monotonic_s()
        if now_s - self._spoken_s >= _PROGRESS_S:
            self._spoken_s = now_s
            say({"frame": frame, "of": of})


def say(line: object) -> None:
    """One line of JSON."""
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def problem(error: Exception) -> Problem:
    """What the parent is told of an error; what nobody foresaw is a mistake here and would only happen again."""
    if isinstance(error, PermanentError | RetryableError):
        kind: Literal["permanent", "retryable"] = "permanent" if isinstance(error, PermanentError) else "retryable"
        return Problem(kind, str(error), error.hint)
    traceback.print_exception(error)
    if isinstance(error, OSError | MemoryError):  # FFmpeg's errors of files and devices are OSErrors too
        return Problem("retryable", f"{type(error).__name__}: {error}", "look at the disk and the memory")
    return Problem("permanent", f"{type(error).__name__}: {error}", "the process's error output says where")


def main(arguments: list[str]) -> int:
    """Carry out one order; the exit code comes back."""
    if len(arguments) != 2 or arguments[0] not in _VERBS:  # noqa: PLR2004 - verb and path
        sys.stderr.write("usage: python -m actors.rendering film|inspect|clip ORDER.json\n")
        return 2
    _die_with_parent()
    _give_memory_back()
    stop = threading.Event()

    def on_term(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    def checkpoint() -> None:
        if stop.is_set():
            raise Stopped

    signal.signal(signal.SIGTERM, on_term)
    try:
        say({"result": _VERBS[arguments[0]](Path(arguments[1]), checkpoint, Speaker().progress)})
    except Stopped:
        return _STOPPED
    except Exception as error:  # noqa: BLE001 - the parent must hear of all of them
        say({"error": problem(error)})
        return 1
    return 0


def _film(order: Path, checkpoint: Callable[[], None], progress: Callable[[int, int], None]) -> msgspec.Struct:
    from actors.rendering.film import render  # noqa: PLC0415 - codecs load only where they are needed

    def out_of_memory(reason: str) -> None:
        say({"out_of_memory": reason})

    asked = _read(order, FilmOrder)
    return render(asked, checkpoint=checkpoint, progress=progress, out_of_memory=out_of_memory)


def _inspect(order: Path, checkpoint: Callable[[], None], progress: Callable[[int, int], None]) -> msgspec.Struct:
    from actors.rendering.inspecting.verdict import inspect  # noqa: PLC0415 - likewise

    return inspect(_read(order, InspectionOrder), checkpoint=checkpoint, progress=progress)


def _clip(order: Path, checkpoint: Callable[[], None], progress: Callable[[int, int], None]) -> msgspec.Struct:
    from actors.rendering.copying import copy  # noqa: PLC0415 - likewise

    return copy(_read(order, ClipOrder), checkpoint=checkpoint, progress=progress)


_VERBS = {"film": _film, "inspect": _inspect, "clip": _clip}


def _read(path: Path, kind: type[Order]) -> Order:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise PermanentError(f"the order {path.name} cannot be read: {error}") from error


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch_parent, name="parent", daemon=True).start()


def _give_memory_back() -> None:
    """Let pictures go back to the system when they are freed, not to a thread's heap (glibc): 30 MB at the peak."""
    with contextlib.suppress(AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_ARENA_MAX, 2)


def _watch_parent() -> NoReturn:
    # The raw descriptor: Python's own stdin object would be locked by this thread when the process ends.
    text = b""
    while heard := os.read(sys.__stdin__.fileno() if sys.__stdin__ else 0, _LINE_BYTES):
        *lines, text = (text + heard).split(b"\n")
        for line in lines:
            obey(line)
    os._exit(_ORPHANED)


def obey(line: bytes) -> None:
    """What the parent asks of a child at work; what nobody understands is ignored, and nothing ends it."""
    card = sys.modules.get("actors.rendering.composing.card")  # not loaded: no card is in use
    if card is None or line.strip() != RELEASE_GPU:
        return
    try:
        freed = card.release()
    except Exception as error:  # noqa: BLE001 - a card that frees nothing will be noticed by the film
        traceback.print_exception(error)
        return
    if freed is not None:
        say({"released_bytes": freed})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
