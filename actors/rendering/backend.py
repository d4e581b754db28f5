"""How a film is composed and encoded: on the card, on the card with the CPU's encoder, or on the CPU.

Chosen by really encoding a frame of the film's size, in that order. A way that fails, at once or in the middle of a
film, is struck off with its reason in words, and the next one is tried; the CPU is the last and is never struck off.
What this machine lacks is thus found out where it matters, and never by asking a list.

A session of NVENC is held for one film; where a card has none left, films are encoded on the CPU, and the next film
asks again. Reasons are known from FFmpeg's words as they were met without a driver, and as its source has them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import traceback
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

import av
import av.logging
import numpy as np

from actors.rendering.composing.card import Card, CardError, Cause, is_out_of_memory, opened
from actors.rendering.composing.compositor import Compositor, Layer
from actors.rendering.composing.cpu import CpuCompositor
from actors.rendering.composing.gpu import GpuCompositor
from actors.rendering.encoding import nvenc
from actors.rendering.encoding.encoder import Codec, add_pictures, libx264
from schema.settings.video import Video

Name = Literal["gpu", "gpu_libx264", "cpu"]

#: What FFmpeg says, and what it means; the first that fits. "out of memory" is also what a card answers whose sessions
#: are all taken: GeForce cards have eight for the whole system, others as many as fit.
_SAYINGS: Final[tuple[tuple[str, Cause, str], ...]] = (
    ("OpenEncodeSessionEx failed: out of memory", "no_session", "the card has no encoder session left"),
    ("incompatible client key", "no_session", "the card has no encoder session left"),
    ("OpenEncodeSessionEx failed: unsupported device", "no_encoder", "this card has no encoder"),
    ("No capable devices found", "no_encoder", "this card has no encoder for such a film"),
    ("minimum required Nvidia driver", "old_driver", "the driver is too old: NVENC needs 570 or newer"),
    ("Driver does not support the required nvenc API", "old_driver", "the driver is too old: NVENC needs 570 or newer"),
    ("Cannot load", "no_driver", "the driver has no encoder library"),
)
#: Errors of FFmpeg that are the disk's.
_DISK: Final = frozenset({errno.ENOSPC, errno.EIO, errno.EACCES, errno.ENOENT, errno.EROFS, errno.EDQUOT, errno.EFBIG})
_GREY: Final = 128


class Way(NamedTuple):
    """How one film is made."""

    name: Name
    codec: Codec
    compositor: Compositor
    #: NVENC without what older cards refuse.
    is_plain: bool = False


class Fallback(NamedTuple):
    """Why a way was struck off."""

    cause: Cause
    reason: str


def ignore(_reason: str) -> None:
    """Nobody asked to be told."""


class Ways:
    """The ways there are for one film, the best first; a context manager, for the card."""

    def __init__(self, video: Video, size: tuple[int, int], *, out_of_memory: Callable[[str], None] = ignore) -> None:
        """`out_of_memory` hears at once, in words, when the card had no memory left."""
        self._video, self._size, self._out_of_memory = video, size, out_of_memory
        self._left: list[tuple[Name, bool]] = [("gpu", False), ("gpu", True), ("gpu_libx264", False)]
        self._rooms = contextlib.ExitStack()
        self.card: Card | None = None
        self.fallbacks: list[Fallback] = []

    def __enter__(self) -> Self:
        """Open the card, where one is wanted."""
        if self._video.gpu == "cpu":
            self._left = []
            return self
        self._rooms.callback(av.logging.set_level, None)
        try:
            self.card = self._rooms.enter_context(opened(self._video.gpu))
        except CardError as error:
            self._note(error, "")
            self._left = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the card."""
        self._rooms.close()

    @property
    def fallback(self) -> str:
        """Why it is not the first way, in words; empty when it is."""
        return "; ".join(dict.fromkeys(fallback.reason for fallback in self.fallbacks))

    @property
    def cause(self) -> str:
        """The word for the last of them."""
        return self.fallbacks[-1].cause if self.fallbacks else ""

    def best(self) -> Way:
        """The best way that is left, after it has encoded a frame."""
        while self._left and self.card is not None:
            name, plain = self._left[0]
            said: list[tuple[int, str, str]] = []
            try:
                with _listening(said):
                    way = self._made(name, self.card, plain=plain)
                    try_out(way, self._size, self._video.fps)
            except Exception as error:  # noqa: BLE001 - whatever it was, the film is made another way
                self._strike(name, error, " ".join(message.strip() for _, _, message in said))
            else:
                # FFmpeg's words in NVENC's errors; not for libx264, whose threads would wait for Python's to say theirs
                av.logging.set_level(av.logging.FATAL if name == "gpu" else None)
                return way
        av.logging.set_level(None)
        return Way("cpu", libx264(self._video), CpuCompositor(*self._size))

    def lost(self, way: Way, error: Exception) -> None:
        """Strike off a way that failed in the middle of a film; raises the error where the card is not to blame."""
        of_card = self.card is not None and isinstance(error, (*self.card.errors, CardError))
        of_encoder = way.codec.name == nvenc.NAME and isinstance(error, av.FFmpegError) and error.errno not in _DISK
        if way.name == "cpu" or not (of_card or of_encoder):
            raise error
        self._strike(way.name, error, "")

    def _made(self, name: Name, card: Card, *, plain: bool) -> Way:
        if name == "gpu":
            return Way(name, nvenc.codec(self._video, plain=plain), GpuCompositor(card, *self._size, stays=True), plain)
        return Way(name, libx264(self._video), GpuCompositor(card, *self._size, stays=False))

    def _strike(self, name: Name, error: Exception, said: str) -> None:
        noted = self._note(error, said)
        # An encoder that refuses what it was told may take less; one that is not there takes nothing.
        plain_may_do = self._left[:1] == [("gpu", False)] and noted.cause == "failed"
        if noted.cause == "out_of_memory":
            self._left = []
        self._left = [left for left in self._left if left[0] != name or (plain_may_do and left[1])]
        # Its frames hold the encoder, and with it a session of the card.
        traceback.clear_frames(error.__traceback__)

    def _note(self, error: Exception, said: str) -> Fallback:
        noted = explained(error, said)
        self.fallbacks.append(noted)
        if noted.cause == "out_of_memory":
            self._out_of_memory(noted.reason)
        return noted


def explained(error: Exception, said: str = "") -> Fallback:
    """What an error means, in a word and in words; `said` is what FFmpeg logged meanwhile."""
    if isinstance(error, CardError):
        return Fallback(error.cause, str(error))
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, av.FFmpegError):  # its own text has all that the encoder was told
        log = str(error).partition("last error log: ")[2]
        text, said = f"{type(error).__name__}: {error.strerror}", said or log
    if is_out_of_memory(error):
        return Fallback("out_of_memory", f"the card has no memory left: {text}")
    if isinstance(error, av.FFmpegError):
        for saying, cause, meaning in _SAYINGS:
            if saying.casefold() in f"{text} {said}".casefold():
                return Fallback(cause, f"{meaning}: {said or text}")
        return Fallback("failed", f"the card's encoder failed: {said or text}")
    return Fallback("failed", f"the card failed: {text}")


def try_out(way: Way, size: tuple[int, int], fps: int) -> int:
    """Really encode one grey frame of this size and throw it away; returns the bytes it took."""
    columns, rows = way.compositor.canvas_size()
    canvas = way.compositor.prepare(np.full((rows, columns, 3), _GREY, np.uint8))
    picture = way.compositor.frame(way.compositor.compose([Layer(canvas, 1.0, 0.5, 0.5, 1.0)], []))
    picture.pts, picture.time_base = 0, Fraction(1, fps)
    with av.open(os.devnull, "w", format="null") as container:
        stream = add_pictures(container, size, fps, way.codec)
        packets = [*stream.encode(picture), *stream.encode(None)]
        return sum(packet.size for packet in packets)


@contextlib.contextmanager
def _listening(said: list[tuple[int, str, str]]) -> Iterator[None]:
    """What FFmpeg logs as an error meanwhile, on any thread."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as heard:
            try:
                yield
            finally:
                said.extend(heard)
    finally:
        av.logging.set_level(before)
