"""Frames and sound into an MP4 with H.264 and AAC, on a thread of its own behind a short queue.

Guarantees that the file appears under its name whole or not at all, that an error of the encoder reaches the caller's
next call, and that no call waits for an encoder that has died. Only the thread touches the container. It cannot
interrupt an encode that hangs in native code: whoever owns the process can.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import Literal, NamedTuple, Self

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from actors.rendering.nv12 import BT709, LIMITED, Nv12, video_frame
from actors.rendering.sound.samples import RATE_HZ
from actors.rendering.sound.track import BITRATES, FRAME, OPTIONS, Track
from schema.settings.video import Video

#: The encoder of the CPU, as FFmpeg names it.
NAME: Literal["libx264"] = "libx264"
#: Frames that may wait for the encoder.
_DEPTH = 8
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
    """One film being written; a context manager: an error in its block leaves no file."""

    def __init__(
        self,
        out: Path,
        size: tuple[int, int],
        video: Video,
        sound: Future[Track],
        *,
        codec: Codec | None = None,
        as_frame: Callable[[Nv12], av.VideoFrame] = video_frame,
    ) -> None:
        """`sound` is the whole film's; it may still be in the making.

        `codec` is libx264 where none is given, and `as_frame` makes of what is written the frames that it takes.
        """
        self._out, self._part = out, Path(f"{out}.part")
        self._size, self._video, self._sound = size, video, sound
        self._codec, self._as_frame = codec or libx264(video), as_frame
        self._queue: Queue[Nv12 | None] = Queue(_DEPTH)
        self._error: BaseException | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the film and give it its name; after an error, remove what there is of it."""
        self._given_up = error is not None
        self._queue.put(None)
        self._thread.join()
        if error is None and self._error is None:
            with self._part.open("rb") as file:
                os.fsync(file.fileno())
            self._part.replace(self._out)
            return
        self._part.unlink(missing_ok=True)
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
            with av.open(str(self._part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
                track = _Tracks(container, self._size, self._video, self._codec)
                while (frame := self._queue.get()) is not None:
                    if self._given_up:
                        continue
                    track.show(self._as_frame(frame))
                    if self._sound.done():
                        track.play(self._sound.result())
                ended = True
                if not self._given_up:
                    track.end(self._sound.result())
        except BaseException as error:  # noqa: BLE001 - it belongs to the thread that writes
            self._error = error
            while not ended and self._queue.get() is not None:
                pass  # keep taking, or the writer would wait for ever


class _Tracks:
    """The two tracks of a container, the sound kept just ahead of the pictures."""

    def __init__(self, container: OutputContainer, size: tuple[int, int], video: Video, codec: Codec) -> None:
        self._container, self._fps, self._shown = container, video.fps, 0
        self._pictures = add_pictures(container, size, video.fps, codec)
        # Opened as the track's own encoder was, for its parameters alone: the sound may not be there yet.
        self._sound = container.add_stream("aac", rate=RATE_HZ, layout="stereo", options=OPTIONS)
        self._sound.bit_rate = BITRATES[video.audio_bitrate]
        self._unheard: Iterator[av.Packet[AudioStream]] | None = None
        self._heard_s = 0.0

    def show(self, frame: av.VideoFrame) -> None:
        frame.pts, frame.time_base = self._shown, Fraction(1, self._fps)
        self._shown += 1
        self._container.mux(self._pictures.encode(frame))

    def play(self, track: Track) -> None:
        """Mux as much of the sound as the pictures have reached."""
        if self._unheard is None:
            self._unheard = track.packets()
        while self._heard_s <= self._shown / self._fps and (packet := next(self._unheard, None)) is not None:
            self._mux(packet)

    def end(self, track: Track) -> None:
        self.play(track)
        self._container.mux(self._pictures.encode(None))
        for packet in self._unheard or ():
            self._mux(packet)

    def _mux(self, packet: av.Packet[AudioStream]) -> None:
        packet.stream = self._sound
        self._container.mux(packet)
        self._heard_s += FRAME / RATE_HZ
