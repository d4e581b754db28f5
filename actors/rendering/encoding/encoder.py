"""Frames into H.264, on a thread of its own behind a short queue, group by group into a part file.

Guarantees that a part is marked only where it is whole, that an error of the encoder reaches the caller's next call,
and that no call waits for an encoder that has died. Only the thread touches the container. It cannot interrupt an
encode that hangs in native code: whoever owns the process can.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from fractions import Fraction
from queue import Queue
from types import TracebackType
from typing import Literal, NamedTuple, Self

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from actors.rendering.encoding.parts import FORMAT, OPTIONS, Part
from actors.rendering.nv12 import BT709, LIMITED, Nv12, video_frame
from schema.settings.video import Video

#: The encoder of the CPU, as FFmpeg names it.
NAME: Literal["libx264"] = "libx264"
#: Frames that may wait for the encoder.
_DEPTH = 6
#: A place to start playing from, at least every two seconds.
GOP_S = 2


class Codec(NamedTuple):
    """An encoder by its name in FFmpeg, the layout of the frames that it takes, and what it is told."""

    name: str
    pix_fmt: str
    options: dict[str, str]


def libx264(video: Video) -> Codec:
    """The CPU's."""
    return Codec(NAME, "nv12", {"preset": video.preset, "crf": str(video.crf), "g": str(GOP_S * video.fps)})


def add_pictures(container: OutputContainer, size: tuple[int, int], fps: int, codec: Codec) -> VideoStream:
    """The track of pictures, in the colours of nv12.py; the encoder itself is opened by its first frame."""
    stream = container.add_stream(codec.name, rate=fps, options=codec.options)
    assert isinstance(stream, VideoStream)  # noqa: S101 - PyAV knows only that it is some stream
    stream.width, stream.height = size
    stream.pix_fmt = codec.pix_fmt
    context = stream.codec_context
    context.time_base = Fraction(1, fps)
    context.thread_type = "AUTO"
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED
    return stream


class Encoder:
    """Part of a film's pictures being encoded; a context manager: an error in its block ends the part where it is."""

    def __init__(
        self,
        part: Part,
        size: tuple[int, int],
        video: Video,
        *,
        codec: Codec | None = None,
        as_frame: Callable[[Nv12], av.VideoFrame] = video_frame,
    ) -> None:
        """`codec` is libx264 where none is given, and `as_frame` makes of what is written the frames that it takes."""
        self._part, self._size, self._video = part, size, video
        self._codec, self._as_frame = codec or libx264(video), as_frame
        self._queue: Queue[Nv12 | None] = Queue(_DEPTH)
        self._error: BaseException | None = None
        self._given_up = False
        #: What the part's next mark says of the shots so far.
        self.flat_shots: tuple[int, ...] = ()
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Encode what is left, and mark it; after an error, nothing more."""
        self._given_up = error is not None
        self._queue.put(None)
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def write(self, frame: Nv12) -> None:
        """Hand over the next frame; its memory belongs to the encoder from now on. Waits while the queue is full."""
        if self._error is not None:
            raise self._error
        self._queue.put(frame)

    def _run(self) -> None:
        ended = False
        try:
            with av.open(self._part, "w", format=FORMAT, options=OPTIONS) as container:
                pictures = _Pictures(container, self._size, self._video, self._codec)
                while (frame := self._queue.get()) is not None:
                    if self._given_up:
                        continue
                    if whole := pictures.show(self._as_frame(frame)):
                        self._part.mark(whole, self.flat_shots)
                ended = True
                if not self._given_up:
                    pictures.end()
            if not self._given_up and pictures.muxed:
                self._part.mark(pictures.muxed, self.flat_shots)
        except BaseException as error:  # noqa: BLE001 - it belongs to the thread that writes
            self._error = self._part.error or error
            while not ended and self._queue.get() is not None:
                pass  # keep taking, or the writer would wait for ever


class _Pictures:
    """The one track of a part."""

    def __init__(self, container: OutputContainer, size: tuple[int, int], video: Video, codec: Codec) -> None:
        self._container, self._fps, self._shown = container, video.fps, 0
        self._stream = add_pictures(container, size, video.fps, codec)
        #: Frames that left the encoder.
        self.muxed = 0

    def show(self, frame: av.VideoFrame) -> int:
        """Encode it; returns how many frames are whole, and in the file, since a group of pictures ended; else 0."""
        frame.pts, frame.time_base = self._shown, Fraction(1, self._fps)
        self._shown += 1
        return self._mux(self._stream.encode(frame))

    def end(self) -> None:
        """Encode what the encoder holds back."""
        self._mux(self._stream.encode(None))

    def _mux(self, packets: Iterable[av.Packet[VideoStream]]) -> int:
        whole = 0
        for packet in packets:
            # With it the group before it goes to the disk; it is closed, so nothing in it waits for what follows.
            if packet.is_keyframe:
                whole = self.muxed
            self._container.mux(packet)
            self.muxed += 1
        return whole
