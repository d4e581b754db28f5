"""A clip's decoded frame made to fill a frame of the film: cut, upright, sized, in NV12 of BT.709.

An 8-bit picture of the film's own colours and size is only copied, its chroma interleaved; that is half a millisecond
at 1080p. Another size is resampled straight out of the decoder's memory, so nothing outside the cut costs anything.
Other colours or depths take one pass of swscale first, high dynamic range a filter (see tone_mapping.py). What does not
fit is cut off evenly on both sides. Non-square pixels and turned pictures come out right; alpha is ignored.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple, cast

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from actors.rendering.drawing.tone_mapping import ToneMapping, is_hdr
from actors.rendering.nv12 import BT709, Nv12, Pixels

_FULL_RANGE: Final = 2
#: `AVColorSpace` as swscale names its matrices; RGB has none.
_MATRICES: Final = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
#: Pictures of at least this height are BT.709 where they do not say.
_HD_HEIGHT: Final = 720
#: From this much smaller on, pixels are averaged; before that bilinear loses none.
_AVERAGED: Final = 2.0
#: How an upright picture comes from one whose axes are exchanged, or mirrored along x, or along y.
_TURNS: Final[dict[tuple[bool, bool, bool], Callable[[Pixels], Pixels]]] = {
    (False, True, True): lambda plane: _pixels(cv2.rotate(plane, cv2.ROTATE_180)),
    (False, True, False): lambda plane: _pixels(cv2.flip(plane, 1)),
    (False, False, True): lambda plane: _pixels(cv2.flip(plane, 0)),
    (True, True, False): lambda plane: _pixels(cv2.rotate(plane, cv2.ROTATE_90_CLOCKWISE)),
    (True, False, True): lambda plane: _pixels(cv2.rotate(plane, cv2.ROTATE_90_COUNTERCLOCKWISE)),
    (True, False, False): lambda plane: _pixels(cv2.transpose(plane)),
    (True, True, True): lambda plane: _pixels(cv2.flip(cv2.transpose(plane), -1)),
}


class Turn(NamedTuple):
    """How a picture is set upright: its axes exchanged first, then mirrored."""

    is_sideways: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False


class Fitting:
    """Fills frames of (width, height); for one clip, whose pixels are `aspect` as wide as they are high."""

    def __init__(self, size: tuple[int, int], pixel_aspect: float) -> None:
        self._size, self._pixel_aspect = size, pixel_aspect
        self._reformatter = VideoReformatter()
        self._tones: ToneMapping | None = None
        self._turn: Turn | None = None

    def fill(self, frame: av.VideoFrame, target: Nv12) -> None:
        """Write the picture into these planes, whose size is the film's."""
        if self._turn is None:
            self._turn = turn(frame)
        luma, chroma = self._planes(frame)
        height, width = luma.shape
        box = self.cut(width, height)
        self._place(_part(luma, box), target.y)
        if len(chroma) == 1 and not any(self._turn):
            self._place(_part(chroma[0], box.halved()), target.uv)
            return
        if len(chroma) == 1:
            chroma = (chroma[0][..., 0], chroma[0][..., 1])
        sized = [self._sized(_part(plane, box.halved()), target.uv.shape[1::-1]) for plane in chroma]
        cv2.merge(sized, dst=target.uv)

    def _planes(self, frame: av.VideoFrame) -> tuple[Pixels, tuple[Pixels, ...]]:
        """Luma, and chroma interleaved or in two; 8 bits, BT.709, limited."""
        if is_hdr(frame):
            if self._tones is None:
                self._tones = ToneMapping(frame, self._reduced(frame))
            frame = self._tones.mapped(frame)
        elif not _is_plain(frame):
            wide, tall = self._reduced(frame)
            frame = self._reformatter.reformat(
                frame,
                width=wide,
                height=tall,
                format="yuv420p",
                src_colorspace=matrix(frame),
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG if is_full(frame) else ColorRange.MPEG,
                dst_color_range=ColorRange.MPEG,
                threads=1,
            )
        # Odd sizes lose their last row or column: its chroma is shared with what is not there.
        width, height = frame.width // 2 * 2, frame.height // 2 * 2
        luma, *chroma = (_plane(plane) for plane in frame.planes[: 2 if frame.format.name == "nv12" else 3])
        if len(chroma) == 1:
            pairs = chroma[0][: height // 2, :width].reshape(height // 2, width // 2, 2)
            return luma[:height, :width], (pairs,)
        return luma[:height, :width], tuple(plane[: height // 2, : width // 2] for plane in chroma)

    def _reduced(self, frame: av.VideoFrame) -> tuple[int, int]:
        """The size in which a frame is converted: never larger than it is, nor much larger than it is shown."""
        box = self.cut(frame.width, frame.height)
        wide, tall = self._upright_size()
        scale = min(1.0, max(wide / box.width, tall / box.height))
        width, height = (max(2, round(length * scale / 2) * 2) for length in (frame.width, frame.height))
        return width, height

    def cut(self, width: int, height: int) -> Box:
        """The largest part in the middle that has the film's shape; all even."""
        wide, tall = self._upright_size()
        shape = wide / tall / self._pixel_aspect
        columns, rows = min(width, height * shape), min(height, width / shape)
        across, down = (max(2, round(length / 2) * 2) for length in (columns, rows))
        across, down = min(across, width), min(down, height)
        return Box((width - across) // 4 * 2, (height - down) // 4 * 2, across, down)

    def _upright_size(self) -> tuple[int, int]:
        """The film's size, sides exchanged where the clip lies on its side."""
        width, height = self._size
        return (height, width) if self._turn is not None and self._turn.is_sideways else (width, height)

    def _place(self, part: Pixels, target: Pixels) -> None:
        if self._turn is None or not any(self._turn):
            _resample(part, target)
        else:
            np.copyto(target, self._sized(part, target.shape[1::-1]))

    def _sized(self, part: Pixels, size: tuple[int, ...]) -> Pixels:
        """The part in the film's size, upright."""
        turned = self._turn or Turn()
        width, height = size[::-1] if turned.is_sideways else size
        if part.shape[:2] != (height, width):
            sized = np.empty((height, width), np.uint8)
            _resample(part, sized)
            part = sized
        return _TURNS[turned](np.ascontiguousarray(part)) if any(turned) else part


class Box(NamedTuple):
    """A part of a picture."""

    left: int
    top: int
    width: int
    height: int

    def halved(self) -> Box:
        """The same part of its chroma."""
        return Box(*(length // 2 for length in self))


def matrix(frame: av.VideoFrame) -> Colorspace:
    """The matrix of its colours; where it does not say, what its size makes likely."""
    if (known := _MATRICES.get(frame.colorspace)) is not None:
        return known
    return Colorspace.ITU709 if min(frame.width, frame.height) >= _HD_HEIGHT else Colorspace.ITU601


def turn(frame: av.VideoFrame) -> Turn:
    """How the frame is set upright, by the matrix that its container gave it."""
    try:
        data = cast("SideDataContainer", frame.side_data)[SideData.DISPLAYMATRIX]  # PyAV's types know other keys
    except KeyError:
        return Turn()
    x_by_x, y_by_x, _, x_by_y, y_by_y = struct.unpack_from("=5i", memoryview(data))
    if abs(x_by_y) > abs(x_by_x):
        return Turn(is_sideways=True, mirrored_x=x_by_y < 0, mirrored_y=y_by_x < 0)
    return Turn(mirrored_x=x_by_x < 0, mirrored_y=y_by_y < 0)


def _is_plain(frame: av.VideoFrame) -> bool:
    is_ours = frame.format.name in ("yuv420p", "nv12") and not is_full(frame)
    return is_ours and matrix(frame) == Colorspace.ITU709 == BT709


def is_full(frame: av.VideoFrame) -> bool:
    """Whether black is 0 and white 255."""
    return frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj") or bool(frame.format.is_rgb)


def _plane(plane: av.video.plane.VideoPlane) -> Pixels:
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)


def _part(plane: Pixels, box: Box) -> Pixels:
    return plane[box.top : box.top + box.height, box.left : box.left + box.width]


def _resample(part: Pixels, target: Pixels) -> None:
    if part.shape == target.shape:
        np.copyto(target, part)
        return
    height, width = target.shape[:2]
    scale = part.shape[1] / width
    how = cv2.INTER_CUBIC if scale < 1 else cv2.INTER_LINEAR if scale < _AVERAGED else cv2.INTER_AREA
    cv2.resize(part, (width, height), dst=target, interpolation=how)


def _pixels(made: cv2.typing.MatLike) -> Pixels:
    return made.astype(np.uint8, copy=False)
