"""Clips decoded on the card (NVDEC) as far as that shows what the CPU would show, and by the CPU from there on.

The card is asked by really decoding. A clip goes on by the CPU, from the same picture and with the reason said, where
the card cannot decode it, fails in the middle of it, or leaves what the kernel does not show as drawing/fitting.py
does: other colours than the film's (more than 8 bits, high or full range, not BT.709), pictures that are turned, not of
square pixels, enlarged, or reduced to less than half. What stays on the card differs from the CPU's picture by a level
(of 255) at most, and no picture of it is copied to memory: only each picture's small look is, some 9 kB.

FFmpeg copies what NVDEC decodes into memory of its own on the card (it is not told `unsafe_output`), so that a picture
may be held; it does so on the legacy stream. Planes are read by their addresses, as DLPack would bring nothing more.
Checked without a card, against a decoder that is played (tests/fakes/card/decoder.py), which checks how it is opened;
that closing a clip leaves cupy's context alone was read in FFmpeg's machine code. Not checked: a real NVDEC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from actors.rendering.composing.card import Card
from actors.rendering.composing.compositor import OnCard
from actors.rendering.drawing.fitting import Fitting, is_full, matrix, turn
from actors.rendering.drawing.reels import NOTHING_ELSE, Reel
from actors.rendering.drawing.tone_mapping import is_hdr
from actors.rendering.nv12 import BT709, Pixels
from schema.errors import PermanentError

_CARD: Final = "cuda"
#: With a context of its own, or with the primary one but not as cupy made it, FFmpeg could not share memory with cupy.
_CONTEXT: Final[dict[str, object]] = {"primary_ctx": "0", "current_ctx": "1"}
#: Bilinear is what OpenCV does up to here, too; at this very figure it is the average of two by two.
_MOST_REDUCED: Final = 2
#: Times are rounded: half a tick of a thousandth.
_HALF_TICK_S: Final = 0.5e-3
#: Rows of a small look at a picture, or some more.
_LOOK_ROWS: Final = 68


class NotOnCardError(Exception):
    """The card does not decode this clip, or no longer; the message says why."""


class CardReel(Reel):
    """A clip's file whose pictures stay on the card that decodes them; it raises NotOnCardError where they do not."""

    def __init__(self, path: str, size: tuple[int, int], card: Card) -> None:
        """Open it for films of this size."""
        try:
            with card.here():  # FFmpeg takes the context that is current on this thread, and uses it on any other
                super().__init__(path, threads=1)
        except (PermanentError, RuntimeError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, av.FFmpegError) else error
            raise NotOnCardError(f"the card's decoder cannot be opened: {_said(cause)}") from error
        self._size, self._fitting = size, Fitting(size, self.pixel_aspect)
        if not self.stream.codec_context.is_hwaccel:
            self.close()
            raise NotOnCardError(f"the card has no decoder for {self.stream.codec_context.name}")

    def frames(self, from_s: float | None = None) -> Iterator[tuple[float, av.VideoFrame]]:
        """As of any reel; each of them lies on the card, and can be shown from there."""
        for at_s, frame in super().frames(from_s):
            if why := self._unfit(frame):
                raise NotOnCardError(why)
            yield at_s, frame

    def _opened(self, path: str) -> InputContainer:
        # One that decoded in memory where the card cannot would do so on one thread.
        how = HWAccel(_CARD, allow_software_fallback=False, is_hw_owned=True, options=_CONTEXT)
        return av.open(path, options=NOTHING_ELSE, metadata_errors="replace", hwaccel=how)

    def _pass_over(self, error: Exception) -> None:
        """A packet that is damaged, or a card that fails: the CPU will see which."""
        raise NotOnCardError(f"the card's decoder failed: {_said(error)}") from error

    def _unfit(self, frame: av.VideoFrame) -> str:
        """Why the kernel would not show it as the CPU does; empty when it would."""
        if not lies_on_card(frame) or frame.sw_format is None:
            return "its pictures are not left on the card"
        wide, tall = self._size
        box, context = self._fitting.cut(frame.width // 2 * 2, frame.height // 2 * 2), self.stream.codec_context
        unfit = {
            f"its pictures are {frame.sw_format.name}, not nv12": frame.sw_format.name != "nv12",
            "its light is of a high range": is_hdr(frame),
            "its colours are of full range": is_full(frame),
            "its colours are not of BT.709": int(matrix(frame)) != BT709,
            "its pictures are turned": any(turn(frame)),
            "its pixels are not square": self.pixel_aspect != 1,
            # a decoder on the card leaves it to its caller to cut off what is at the left and at the top
            "its pictures have edges to cut off": (frame.width, frame.height) != (context.width, context.height),
            "its pictures do not have the film's shape exactly": box.width * tall != box.height * wide,
            "its pictures are enlarged": box.width < wide,
            "its pictures are reduced to less than half": box.width > _MOST_REDUCED * wide,
            "its planes have rows of different lengths": len({plane.line_size for plane in frame.planes}) != 1,
        }
        return next((why for why, is_so in unfit.items() if is_so), "")


class Decoding:
    """The pictures of one clip, for as long as it can by the card, if there is one; for one thread at a time."""

    def __init__(self, path: str, size: tuple[int, int], card: Card | None) -> None:
        """Open it. Raises PermanentError as a reel does."""
        self._path, self._from_s, self._card = path, 0.0, card
        #: Why the CPU decodes it though there is a card; empty when the card does.
        self.by_cpu = ""
        #: The CPU's own picture of what the card gave last, after it took over.
        self.same: av.VideoFrame | None = None
        self.reel = self._opened(size)
        self._frames: Iterator[tuple[float, av.VideoFrame]] = iter(())
        self._last_s = float("-inf")
        self._looked: tuple[av.VideoFrame, Pixels] | None = None

    def rewind(self, to_s: float) -> None:
        """Begin again with the picture that stands for itself there, or the one before."""
        self._from_s, self._last_s = to_s, float("-inf")
        self._frames = self.reel.frames(to_s)

    def pull(self) -> tuple[float, av.VideoFrame] | None:
        """The next picture and when it begins; None behind the last."""
        lost = False
        try:
            pulled = next(self._frames, None)
        except NotOnCardError as error:
            lost, self.by_cpu = True, str(error)
        # Behind the error: what PyAV begins while one is handled holds it, and with it a picture on the card.
        if lost:
            pulled = self._taken_over()
        if pulled is not None:
            self._last_s = pulled[0]
        return pulled

    def look(self, frame: av.VideoFrame) -> Pixels:
        """Every so many pixels of its luma, in 8 bits; once for a picture on the card, as it is copied down."""
        step = max(1, frame.height // _LOOK_ROWS)
        if self._card is None or not lies_on_card(frame):
            return _thumbnail(frame, step)
        if self._looked is None or self._looked[0] is not frame:
            luma = frame.planes[0]
            small = self._card.glance(luma.buffer_ptr, (frame.height, frame.width), luma.line_size, step)
            self._looked = (frame, small)
        return self._looked[1]

    def _opened(self, size: tuple[int, int]) -> Reel:
        if self._card is not None:
            try:
                return CardReel(self._path, size, self._card)
            except NotOnCardError as error:
                self.by_cpu = str(error)
        return Reel(self._path)

    def _taken_over(self) -> tuple[float, av.VideoFrame] | None:
        """The picture after the last one, by the CPU: from where the card began, as times may be counted from there."""
        self.reel.close()
        self.reel = Reel(self._path)
        self._frames = self.reel.frames(self._from_s)
        for at_s, frame in self._frames:
            if at_s > self._last_s + _HALF_TICK_S:
                return at_s, frame
            self.same = frame
        return None


def lies_on_card(frame: av.VideoFrame) -> bool:
    """Whether it was decoded by a card and left there."""
    return frame.format.name == _CARD


def lying(frame: av.VideoFrame, fitting: Fitting) -> OnCard:
    """Where the part of it lies that fills the film's frame; it holds the picture."""
    luma, chroma = frame.planes
    box, pitch = fitting.cut(frame.width // 2 * 2, frame.height // 2 * 2), luma.line_size
    return OnCard(
        luma.buffer_ptr + box.top * pitch + box.left,
        chroma.buffer_ptr + box.top // 2 * pitch + box.left,
        pitch,
        box.width,
        box.height,
        frame,
    )


def _thumbnail(frame: av.VideoFrame, step: int) -> Pixels:
    """The same straight from a decoder in memory."""
    plane, deeper = frame.planes[0], max(0, frame.format.components[0].bits - 8)
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height : step]
    if not deeper:
        return rows[:, : frame.width : step]
    deep = np.ascontiguousarray(rows).view(np.uint16)[:, : frame.width : step]
    return np.asarray(deep >> deeper, np.uint8)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {(isinstance(error, av.FFmpegError) and error.strerror) or error}"
