"""pynvml behind one file: what the graphics cards of this machine say, as values; nothing is ever raised out of here.

No library, no driver, no card, a card that was lost or that is out of memory: each is an answer. A figure that a card
does not know is None. After any trouble with the library as a whole it is opened anew by the next reading.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Final, Literal, TypeVar

import msgspec
import pynvml

T = TypeVar("T")
Handle = object

#: absent: this machine has no card to speak of. lost: it had one. out_of_memory: card or driver have none left.
#: failing: something else, which may pass.
Kind = Literal["absent", "lost", "out_of_memory", "failing"]

_MIB: Final = 1 << 20
_KINDS: Final[dict[int, Kind]] = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "absent",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "absent",
    pynvml.NVML_ERROR_NOT_FOUND: "absent",
    pynvml.NVML_ERROR_GPU_NOT_FOUND: "absent",
    pynvml.NVML_ERROR_GPU_IS_LOST: "lost",
    pynvml.NVML_ERROR_RESET_REQUIRED: "lost",
    pynvml.NVML_ERROR_UNINITIALIZED: "lost",
    pynvml.NVML_ERROR_MEMORY: "out_of_memory",
    pynvml.NVML_ERROR_INSUFFICIENT_RESOURCES: "out_of_memory",
}
#: This card, or this driver, has no such figure.
_UNKNOWN: Final = frozenset(
    {pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, pynvml.NVML_ERROR_NO_PERMISSION}
)


class GpuProcess(msgspec.Struct, frozen=True):
    """A process on a card; `used_mb` is None where the driver does not tell."""

    pid: int
    used_mb: int | None


class Card(msgspec.Struct, frozen=True):
    """One card as it was at one moment; megabytes are 2^20 bytes, as everywhere in the runbook."""

    index: int
    name: str
    total_mb: int
    used_mb: int
    free_mb: int
    utilization_percent: int | None = None
    temperature_c: int | None = None
    encoder_sessions: int | None = None
    processes: tuple[GpuProcess, ...] = ()


class Trouble(msgspec.Struct, frozen=True):
    """Why a card, or all of them (`card` is None), could not be read."""

    kind: Kind
    reason: str
    card: int | None = None


class Reading(msgspec.Struct, frozen=True):
    """What could be read, and what could not."""

    cards: tuple[Card, ...] = ()
    troubles: tuple[Trouble, ...] = ()


class Nvml:
    """The library, opened when it is first needed; for one thread at a time."""

    def __init__(self) -> None:
        self._open = False

    def read(self) -> Reading:
        """All cards, now. A driver that hangs makes this hang: call it from a thread."""
        try:
            if not self._open:
                pynvml.nvmlInit()
                self._open = True
            count = pynvml.nvmlDeviceGetCount()
        except Exception as error:  # noqa: BLE001 - a typed answer, whatever the library does
            self.close()
            return Reading(troubles=(_trouble(error),))
        if count == 0:
            return Reading(troubles=(Trouble("absent", "the driver knows of no card"),))
        cards, troubles = [], []
        for index in range(count):
            try:
                cards.append(_card(index))
            except Exception as error:  # noqa: BLE001 - likewise
                troubles.append(_trouble(error, index))
        if any(trouble.kind == "lost" for trouble in troubles):
            self.close()  # a driver that comes back wants to be opened anew
        return Reading(tuple(cards), tuple(troubles))

    def close(self) -> None:
        """Let go of the library."""
        if self._open:
            self._open = False
            with contextlib.suppress(Exception):
                pynvml.nvmlShutdown()


def _card(index: int) -> Card:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    name = _known(lambda: pynvml.nvmlDeviceGetName(handle))
    return Card(
        index=index,
        name=str(name or f"card {index}"),
        total_mb=memory.total // _MIB,
        used_mb=memory.used // _MIB,
        free_mb=memory.free // _MIB,
        utilization_percent=_known(lambda: int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)),
        temperature_c=_known(lambda: int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))),
        encoder_sessions=_known(lambda: int(pynvml.nvmlDeviceGetEncoderStats(handle)[0])),
        processes=_processes(handle),
    )


def _processes(handle: Handle) -> tuple[GpuProcess, ...]:
    """Each process once, though it may compute and draw."""
    found: dict[int, GpuProcess] = {}
    for ask in (pynvml.nvmlDeviceGetComputeRunningProcesses, pynvml.nvmlDeviceGetGraphicsRunningProcesses):
        for one in _known(partial(ask, handle)) or ():
            used = one.usedGpuMemory
            found[one.pid] = GpuProcess(one.pid, None if used is None else used // _MIB)
    return tuple(found[pid] for pid in sorted(found))


def _known(ask: Callable[[], T]) -> T | None:
    """The answer, or None where this card or driver has none; other errors are raised."""
    try:
        return ask()
    except pynvml.NVMLError as error:
        if error.value in _UNKNOWN:
            return None
        raise


def _trouble(error: Exception, card: int | None = None) -> Trouble:
    if not isinstance(error, pynvml.NVMLError):
        return Trouble("failing", f"{type(error).__name__}: {error}", card)
    return Trouble(_KINDS.get(error.value, "failing"), str(error), card)
