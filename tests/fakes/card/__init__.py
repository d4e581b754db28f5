"""A card that is played: the part of cupy that rendering uses, over ordinary memory, with the real kernel.

The kernel is built by the C++ compiler on PATH and run thread by thread over the grid that it was launched with. What
goes up, comes down, is looked at, launched and freed is counted; memory can be made to run out, and the driver to be
missing. Frames are ordinary arrays, so libx264 plays the card's encoder; decoder.py plays its decoder. It cannot show
what a stream leaves undone, since everything is done at once (events can be made to seem undone), nor anything that
NVENC or NVDEC does.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.rendering.composing import card as cards
from tests.fakes.card.decoder import Decoder

_HERE = Path(__file__).parent
_KERNEL_FOLDER = Path(cards.__file__).parent


def built(folder: Path) -> ctypes.CDLL:
    """The kernel for this machine's CPU."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("the kernel is built for the CPU by a C++ compiler, and there is none on PATH")
    library = folder / "kernel.so"
    flags = ("-O2", "-std=c++17", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off")
    command = (compiler, *flags, f"-I{_KERNEL_FOLDER}", "-o", str(library), str(_HERE / "host.cpp"))
    subprocess.run(command, check=True, timeout=120)
    return ctypes.CDLL(str(library))


class CUDARuntimeError(RuntimeError):
    """Named as cupy's is."""


class CUDADriverError(RuntimeError):
    """Likewise."""


class CompileException(Exception):  # noqa: N818 - cupy's name
    """Likewise."""


class OutOfMemoryError(MemoryError):
    """Likewise."""


class Array(np.ndarray[Any, np.dtype[np.uint8]]):
    """An array on the card: numpy's, with cupy's words."""

    card: FakeCupy

    def __array_finalize__(self, of: Any) -> None:  # noqa: ANN401 - numpy's word
        """Views belong to the same card."""
        self.card = getattr(of, "card", None)  # type: ignore[assignment] # only before it has one

    @property
    def data(self) -> Any:  # noqa: ANN401 - a pointer here, a memoryview in numpy
        """Where it is."""
        return SimpleNamespace(ptr=self.ctypes.data)

    def set(self, here: NDArray[np.uint8]) -> None:
        """Copy up."""
        self.card.counts["up"] += 1
        np.copyto(self, here)

    def get(self, *, out: NDArray[np.uint8], stream: Stream, blocking: bool) -> None:
        """Copy down; a decoder's stream is for looks only."""
        assert stream is Stream.current.it
        assert not blocking
        if stream is Stream.null:
            self.card.counts["looked"] += 1
            self.card.largest_look_bytes = max(self.card.largest_look_bytes, self.nbytes)
        else:
            self.card.counts["down"] += 1
        np.copyto(out, self)

    def __dlpack__(self, *, stream: int | None = None) -> object:  # type: ignore[override] # cupy's is narrower
        """A capsule; the array lives as long as it does."""
        assert stream == Stream.current.it.ptr, "the encoder must wait for the stream that composes"
        return np.asarray(self).view(np.ndarray).__dlpack__()


class Stream:
    """A stream that has always done everything."""

    ptr = 7
    current = threading.local()
    #: The legacy one, which FFmpeg's decoders have.
    null: Stream

    def __init__(self, *, non_blocking: bool) -> None:
        assert non_blocking
        #: The streams behind which it has waited.
        self.waited: list[Stream | None] = []

    def wait_event(self, event: Event) -> None:
        """Do nothing more before that."""
        assert self is not event.recorded, "it waits for itself"
        self.waited.append(event.recorded)

    def __enter__(self) -> Self:
        """Be this thread's."""
        self.before, Stream.current.it = getattr(Stream.current, "it", None), self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Be it no more."""
        Stream.current.it = self.before

    def synchronize(self) -> None:
        """Nothing is ever left to do."""


Stream.null = Stream(non_blocking=True)


class Event:
    """A place in a stream; it seems to be not yet reached while the card lags."""

    def __init__(self, card: FakeCupy) -> None:
        self._card, self.recorded, self._waited_for = card, None, False

    recorded: Stream | None

    def record(self, stream: Stream) -> None:
        """Behind all that it has now."""
        self.recorded = stream

    @property
    def done(self) -> bool:
        """Whether it was reached."""
        return self._waited_for or not self._card.lags

    def synchronize(self) -> None:
        """Wait for it."""
        self._waited_for = True


class Memory:
    """An allocation of its own, or a view of one that keeps its owner."""

    def __init__(self, card: FakeCupy, size: int, raw: Any = None, owner: object = None) -> None:  # noqa: ANN401 - ctypes
        self.card, self.size, self.owner = card, size, owner
        self.raw = (ctypes.c_uint8 * size)() if raw is None else raw
        self.ptr = ctypes.addressof(self.raw)


class FakeCupy:
    """The module; `installed` puts it where `import cupy` finds it."""

    def __init__(self, kernel: ctypes.CDLL) -> None:
        self._kernel, self.counts = kernel, Counter[str]()
        self.driver, self.cards, self.left_bytes, self.kept_bytes = 12_080, 1, 1 << 40, 0
        #: Raised by the next launch but so many.
        #: What the last launches read and write seems not to be done yet.
        self.lags, self.largest_look_bytes, self.decoder = False, 0, Decoder(self._is_bound)
        self._threads = threading.local()
        self.breaks_after, self.breaks_with = -1, CUDARuntimeError("cudaErrorLaunchFailure: unspecified launch failure")
        runtime = SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            driverGetVersion=lambda: self.driver,
            setDevice=self._bind,
            free=lambda _pointer: None,
            getDeviceProperties=lambda _number: {"name": b"A card that is played", "major": 9, "minor": 0},
        )
        self.cuda = SimpleNamespace(
            runtime=runtime,
            driver=SimpleNamespace(CUDADriverError=CUDADriverError),
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            compiler=SimpleNamespace(CompileException=CompileException),
            is_available=lambda: self.driver > 0 and self.cards > 0,
            Stream=Stream,
            Event=self._event,
            Memory=self._memory,
            UnownedMemory=self._unowned,
            MemoryPointer=lambda memory, offset: (memory, offset),
            alloc_pinned_memory=lambda size: memoryview(bytearray(size)),
        )

    def _bind(self, _number: int) -> None:
        self.counts["bound"] += 1
        self._threads.bound = True

    def _is_bound(self) -> bool:
        return getattr(self._threads, "bound", False)

    def _event(self, *, disable_timing: bool) -> Event:
        assert disable_timing
        return Event(self)

    def _memory(self, size: int) -> Memory:
        self._use(size, CUDARuntimeError("cudaErrorMemoryAllocation: out of memory"))
        return Memory(self, size)

    def _unowned(self, pointer: int, size: int, owner: object, device: int) -> Memory:
        assert device == 0
        assert size > 0
        return Memory(self, size, (ctypes.c_uint8 * size).from_address(pointer), owner)

    def _use(self, size: int, error: Exception) -> None:
        if size > self.left_bytes:
            raise error
        self.left_bytes -= size

    def empty(self, shape: tuple[int, ...], _kind: type) -> Array:
        """Memory out of the pool."""
        self._use(int(np.prod(shape)), OutOfMemoryError("Out of memory allocating 8 bytes"))
        array = np.full(shape, 0xAA, np.uint8).view(Array)
        array.card = self
        return array

    def ndarray(self, shape: tuple[int, ...], _kind: type, *, memptr: tuple[Memory, int]) -> Array:
        """An array over somebody's memory, which it keeps."""
        memory, offset = memptr
        assert offset == 0
        whole: Any = memory.raw
        whole.owner = memory.owner  # numpy keeps `whole`, as cupy keeps its memory
        array = np.frombuffer(whole, np.uint8).reshape(shape).view(Array)
        array.card = self
        return array

    def RawModule(self, *, code: str) -> Any:  # noqa: ANN401, N802 - cupy's name
        """The kernel, built already."""
        assert "compose_nv12" in code
        return SimpleNamespace(get_function=lambda _name: self._launch)

    def _launch(self, grid: tuple[int, int], block: tuple[int, int], arguments: tuple[Any, ...]) -> None:
        assert isinstance(Stream.current.it, Stream)
        if self.counts["launched"] == self.breaks_after:
            raise self.breaks_with
        self.counts["launched"] += 1
        frame, out, *numbers = arguments
        assert all(type(number) is np.int32 for number in numbers), "plain numbers would travel as 64 bit"
        assert frame.size == 1
        pointers = (ctypes.c_void_p(frame.ctypes.data), ctypes.c_void_p(out.data.ptr))
        self._kernel.launch(*grid, *block, *pointers, *(int(number) for number in numbers))

    def get_default_memory_pool(self) -> Any:  # noqa: ANN401 - cupy's
        """What is kept and not used."""

        def free() -> None:
            self.counts["freed"] += 1
            self.left_bytes += self.kept_bytes
            self.kept_bytes = 0

        return SimpleNamespace(total_bytes=lambda: self.kept_bytes, free_all_blocks=free)

    def get_default_pinned_memory_pool(self) -> Any:  # noqa: ANN401 - cupy's
        """Likewise."""
        return SimpleNamespace(free_all_blocks=lambda: self.counts.update(["pinned_freed"]))

    def installed(self, patch: pytest.MonkeyPatch) -> Self:
        """From now on `import cupy` gives this, and a clip that is opened for the card is decoded there."""
        patch.setitem(sys.modules, "cupy", self)
        self.decoder.installed(patch)
        return self
