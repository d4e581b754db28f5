"""Frames and sound into an MP4 with libx264 and AAC, on a thread of its own behind a short queue.

Guarantees that the file appears under its name whole or not at all, that an error of the encoder reaches the caller's
next call, and that no call waits for an encoder that has died. Only the thread touches the container. It cannot
interrupt an encode that hangs in native code: whoever owns the process can.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import Literal, Self

import av
from av.container import OutputContainer

from actors.rendering.nv12 import BT709, LIMITED, Nv12, video_frame
from actors.rendering.sound.samples import RATE_HZ, Samples, audio_frames
from schema.settings.video import Video

#: The encoder, as FFmpeg names it.
NAME: Literal["libx264"] = "libx264"
#: Frames that may wait for the encoder.
_DEPTH = 8
_AAC_FRAME = 1024
#: A place to start playing from, at least every two seconds.
_GOP_S = 2
_BITRATES = {"128k": 128_000, "192k": 192_000}


class Encoder:
    """One film being written; a context manager: an error in its block leaves no file."""

    def __init__(self, out: Path, size: tuple[int, int], video: Video, sound: Future[Samples]) -> None:
        """`sound` is the whole film's, two channels; it may still be in the making."""
        self._out, self._part = out, Path(f"{out}.part")
        self._size, self._video, self._sound = size, video, sound
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
                track = _Tracks(container, self._size, self._video)
                while (frame := self._queue.get()) is not None:
                    if self._given_up:
                        continue
                    track.show(frame)
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

    def __init__(self, container: OutputContainer, size: tuple[int, int], video: Video) -> None:
        self._container, self._fps, self._shown = container, video.fps, 0
        options = {"preset": video.preset, "crf": str(video.crf), "g": str(_GOP_S * video.fps)}
        self._pictures = container.add_stream(NAME, rate=video.fps, options=options)
        self._pictures.width, self._pictures.height = size
        self._pictures.pix_fmt = "nv12"
        codec = self._pictures.codec_context
        codec.time_base = Fraction(1, video.fps)
        codec.thread_type = "AUTO"
        codec.colorspace = codec.color_primaries = codec.color_trc = BT709
        codec.color_range = LIMITED
        self._sound = container.add_stream("aac", rate=RATE_HZ, layout="stereo")
        self._sound.bit_rate = _BITRATES[video.audio_bitrate]
        self._unheard: Iterator[av.AudioFrame] | None = None
        self._heard_s = 0.0

    def show(self, picture: Nv12) -> None:
        frame = video_frame(picture)
        frame.pts, frame.time_base = self._shown, Fraction(1, self._fps)
        self._shown += 1
        self._container.mux(self._pictures.encode(frame))

    def play(self, samples: Samples) -> None:
        """Encode as much of the sound as the pictures have reached."""
        if self._unheard is None:
            self._unheard = audio_frames(samples, _AAC_FRAME)
        while self._heard_s <= self._shown / self._fps and (frame := next(self._unheard, None)) is not None:
            self._container.mux(self._sound.encode(frame))
            self._heard_s += _AAC_FRAME / RATE_HZ

    def end(self, samples: Samples) -> None:
        self.play(samples)
        self._container.mux(self._pictures.encode(None))
        self._container.mux(self._sound.encode(None))
