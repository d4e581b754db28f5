"""The graphics card of one process, and cupy behind one file: memory, one stream, the kernel, and what went wrong.

All of our work is on one stream, so memory that is given back may be written again at once; FFmpeg's decoders have the
legacy stream, and what is read of theirs waits for it on the card. A thread that comes here first
gets the device's context made current, which is the one that the encoder takes over. `release` may be called from any
thread at any time: it frees what cupy's pools keep, never the frames, whose addresses the encoder has registered.

Checked without a card: the names used here are in the wheel, its errors without a driver are those that are handled,
and everything else against a card that is played (tests/fakes/card). Not checked: a real one. That is what
`./ytempire doctor --gpu` is for.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from actors.rendering.nv12 import Pixels

#: Why a card does not do what it was asked; a word each, for metrics.
Cause = Literal[
    "no_package", "no_driver", "no_card", "out_of_memory", "no_encoder", "no_session", "old_driver", "failed"
]
_SOURCE: Final = Path(__file__).with_name("kernel.cu")
_KERNEL: Final = "compose_nv12"
_BLOCK: Final = (32, 8)


class CardError(Exception):
    """A card that cannot be used; the message says why in words, `cause` in one."""

    def __init__(self, message: str, cause: Cause) -> None:
        super().__init__(message)
        self.cause: Cause = cause


class Card:
    """Device 0 of this process; for a context manager, see `opened`."""

    def __init__(self, cupy: Any) -> None:  # noqa: ANN401 - a module without types
        self._cupy, self._bound = cupy, threading.local()
        self._bind()
        properties = cupy.cuda.runtime.getDeviceProperties(0)
        name = properties["name"]
        self.name = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        self.capability = f"{properties['major']}.{properties['minor']}"
        self.stream = cupy.cuda.Stream(non_blocking=True)
        with self.here():
            self._kernel = cupy.RawModule(code=_SOURCE.read_text("utf-8")).get_function(_KERNEL)
        #: What cupy raises when the card, its driver or its compiler does not do what it should.
        self.errors: tuple[type[Exception], ...] = (
            cupy.cuda.runtime.CUDARuntimeError,
            cupy.cuda.driver.CUDADriverError,
            cupy.cuda.memory.OutOfMemoryError,
            cupy.cuda.compiler.CompileException,
        )

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """This thread works on the card, on its stream."""
        self._bind()
        with self.stream:
            yield

    def upload(self, pixels: NDArray[np.uint8]) -> Any:  # noqa: ANN401 - a cupy array
        """A copy on the card; the caller may write to its own again at once."""
        with self.here():
            copy = self._cupy.empty(pixels.shape, np.uint8)
            copy.set(np.ascontiguousarray(pixels))
        return copy

    def lift(self, fill: Callable[[Pixels], None], shape: tuple[int, int]) -> Any:  # noqa: ANN401 - a cupy array
        """What `fill` writes, on the card: written into pinned memory and copied from there, done when this returns."""
        with self.here():
            size_bytes = shape[0] * shape[1]
            pinned = self._cupy.cuda.alloc_pinned_memory(size_bytes)
            here = np.frombuffer(pinned, np.uint8, size_bytes).reshape(shape)
            fill(here)
            copy = self._cupy.empty(shape, np.uint8)
            copy.set(here)
            self.stream.synchronize()  # the pool may give the pinned memory to somebody else
        return copy

    def launch(self, frame: NDArray[np.void], out: Any, size: tuple[int, int], pitch: int) -> None:  # noqa: ANN401 - a cupy array
        """Compose `frame` (one element, by value) into `out`; returns before it is done."""
        width, height = size
        grid = tuple(-(-length // (2 * threads)) for length, threads in zip(size, _BLOCK, strict=True))
        # plain numbers would travel as 64 bit
        arguments = (frame, out, np.int32(width), np.int32(height), np.int32(pitch))
        with self.here():
            self._kernel(grid, _BLOCK, arguments)

    def download(self, there: Any) -> Pixels:  # noqa: ANN401 - a cupy array
        """A copy in pinned memory, when all work before it is done; 3.1 MB take some 0.2 ms over PCIe 4."""
        with self.here():
            pinned = self._cupy.cuda.alloc_pinned_memory(there.nbytes)
            here = np.frombuffer(pinned, np.uint8, there.nbytes).reshape(there.shape)
            there.get(out=here, stream=self.stream, blocking=False)
            self.stream.synchronize()
        return here

    def follow_decoders(self) -> None:
        """What is launched from now on waits, on the card, for all that decoders have begun on its legacy stream."""
        with self.here():
            begun = self._cupy.cuda.Event(disable_timing=True)
            begun.record(self._cupy.cuda.Stream.null)
            self.stream.wait_event(begun)

    def mark(self) -> Any:  # noqa: ANN401 - a cupy event
        """An event that is `done` when all is that was launched so far."""
        with self.here():
            mark = self._cupy.cuda.Event(disable_timing=True)
            mark.record(self.stream)
        return mark

    def glance(self, luma: int, shape: tuple[int, int], pitch: int, step: int) -> Pixels:
        """Every `step`th pixel of every `step`th row of a decoder's plane, in memory: done, and the plane, too.

        Gathered on the decoders' stream, so that nobody waits for frames that are being composed or encoded. What is
        copied down for a step of 15 at 1080p are 9 kB.
        """
        self._bind()
        decoders = self._cupy.cuda.Stream.null
        with decoders:
            memory = self._cupy.cuda.UnownedMemory(luma, shape[0] * pitch, None, 0)
            plane = self._cupy.ndarray((shape[0], pitch), np.uint8, memptr=self._cupy.cuda.MemoryPointer(memory, 0))
            there = plane[::step, : shape[1] : step].copy()
            here = np.empty(there.shape, np.uint8)
            there.get(out=here, stream=decoders, blocking=False)
            decoders.synchronize()
        return here

    def allocate(self, size_bytes: int) -> Any:  # noqa: ANN401 - cupy's memory
        """Memory of its own, outside the pools; their free blocks make room for it where it does not fit."""
        with self.here():
            try:
                return self._cupy.cuda.Memory(size_bytes)
            except self.errors as error:
                if not is_out_of_memory(error) or not self.release():
                    raise
                return self._cupy.cuda.Memory(size_bytes)

    def lend(self, memory: Any, owner: object, shape: tuple[int, int]) -> Any:  # noqa: ANN401 - cupy's memory and array
        """An array over `memory` that keeps `owner` alive as long as anybody holds it, an encoder too."""
        borrowed = self._cupy.cuda.UnownedMemory(memory.ptr, memory.size, owner, 0)
        return self._cupy.ndarray(shape, np.uint8, memptr=self._cupy.cuda.MemoryPointer(borrowed, 0))

    def release(self) -> int:
        """Free what the pools keep and nobody uses, on the card and pinned; returns bytes freed on the card."""
        self._bind()
        pool = self._cupy.get_default_memory_pool()
        before = int(pool.total_bytes())
        pool.free_all_blocks()
        self._cupy.get_default_pinned_memory_pool().free_all_blocks()
        return before - int(pool.total_bytes())

    def _bind(self) -> None:
        """Make the device's primary context exist and be current on this thread: the encoder wraps what is current."""
        if not getattr(self._bound, "done", False):
            self._cupy.cuda.runtime.setDevice(0)
            self._cupy.cuda.runtime.free(0)
            self._bound.done = True


class _Opened:
    """The card of this process, for whoever is asked to release memory."""

    card: Card | None = None


@contextlib.contextmanager
def opened(which: str) -> Iterator[Card]:
    """The card `which` (`auto`: the first, else its number as nvidia-smi shows it), for the whole process.

    Raises CardError with the reason.
    """
    if which != "auto":
        # The encoder can share a stream with device 0 only, so the other cards are hidden. Too late once CUDA runs.
        os.environ.update(CUDA_DEVICE_ORDER="PCI_BUS_ID", CUDA_VISIBLE_DEVICES=which)
    _Opened.card = card = _open(which)
    try:
        yield card
    finally:
        _Opened.card = None


def release() -> int | None:
    """Free what this process's card keeps and does not use; bytes freed, or None where no card is in use."""
    card = _Opened.card
    return None if card is None else card.release()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a card had no memory left, by its type or by CUDA's own words."""
    words = ("OutOfMemoryError", "cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY")
    return any(word in f"{type(error).__name__}: {error}" for word in words)


def _has_driver() -> bool:
    """Whether the driver's library can be loaded; a machine without one has no use for cupy."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _open(which: str) -> Card:
    try:
        import cupy  # noqa: PLC0415 - an extra that most machines do not have
    except ImportError as error:
        if not _has_driver():
            raise CardError("no NVIDIA driver answers", "no_driver") from error
        raise CardError(f"the packages for a card (the extra `gpu`) are not there: {error}", "no_package") from error
    if not cupy.cuda.is_available():  # the one question that raises nothing and prints nothing
        if cupy.cuda.runtime.driverGetVersion() == 0:
            raise CardError("no NVIDIA driver answers", "no_driver")
        raise CardError(f"the driver shows no card (asked for: {which})", "no_card")
    try:
        return Card(cupy)
    except Exception as error:
        cause: Cause = "out_of_memory" if is_out_of_memory(error) else "failed"
        raise CardError(f"the card cannot be used: {type(error).__name__}: {error}", cause) from error
