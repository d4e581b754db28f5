"""A clip's file, opened: refused by name when it holds no moving picture that can be shown, else decoded from any time.

Damage does not end it: a packet that cannot be decoded is counted and passed over, and a file that breaks off ends
there. Times are the file's own, in seconds, so that clips of variable frame rate need nothing special. For one thread
at a time; it holds the decoder's own pictures and none of its own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from schema.errors import PermanentError

LARGEST_MEGAPIXELS: Final = 100
#: The longest side that H.264 and most of what decodes it go up to.
LARGEST_SIDE: Final = 8192
#: More threads than this decode no clip in time that fewer would not, and each holds a picture.
_MOST_THREADS: Final = 4
#: Packets in a row that cannot be decoded, after which no more is hoped for.
_MOST_ERRORS: Final = 250
#: Some formats are lists of other files, or of addresses: a clip is one file, and of these kinds, whatever its name.
NOTHING_ELSE: Final = {"protocol_whitelist": "file", "format_whitelist": "mov,matroska,webm,avi,mpeg,ogg,mp3,wav,flac"}
#: More of a clip than this is not looked at, seconds.
_MOST_S: Final = 600.0
_HINT: Final = "expected MP4, MOV, WebM or another clip"


class Reel:
    """A context manager, for its file."""

    def __init__(self, path: str, *, threads: int = _MOST_THREADS) -> None:
        """Open it. Raises PermanentError, naming the file, when it has no moving picture or one of absurd size.

        More threads decode on while a picture is in use; where only a look here and there is wanted they cost.
        """
        self.name = Path(path).name
        try:
            self._container = self._opened(path)
        except (av.FFmpegError, OSError, ValueError) as error:
            message = f"{self.name} is not a clip that can be read: {_said(error)}"
            raise PermanentError(message, hint=_HINT) from error
        try:
            self.stream = self._chosen()
            self._check_size(self.stream.width, self.stream.height)
        except PermanentError:
            self._container.close()
            raise
        self.stream.thread_type = "AUTO"
        self.stream.codec_context.thread_count = min(threads, os.cpu_count() or 1)
        #: Packets that could not be decoded, so far.
        self.errors = 0

    def __enter__(self) -> Self:
        """It is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; what it gave out stays."""
        self._container.close()

    @property
    def pixel_aspect(self) -> float:
        """How wide a pixel is by its height."""
        told = self.stream.sample_aspect_ratio
        return float(told) if told and told > 0 else 1.0

    @property
    def step_s(self) -> float:
        """How long a picture lasts where its file does not say when it begins."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return 1 / float(rate) if rate else 0.04

    def times(self) -> Iterator[tuple[float, float, bool]]:
        """When each packet's picture begins and ends, and whether it stands for itself; nothing is decoded.

        Of a long clip only the first ten minutes.
        """
        base, began_s = self.stream.time_base, None
        try:
            for packet in self._container.demux(self.stream):
                when = packet.pts if packet.pts is not None else packet.dts
                if when is not None and packet.size and base:
                    began_s = float(when * base) if began_s is None else began_s
                    if float(when * base) > began_s + _MOST_S:
                        return
                    lasts_s = float(packet.duration * base) if packet.duration else self.step_s
                    yield float(when * base), float(when * base) + lasts_s, packet.is_keyframe
        except (av.FFmpegError, OSError):
            return  # it breaks off here

    def look(self, at_s: float) -> tuple[float, av.VideoFrame] | None:
        """The picture that stands for itself there, and when it begins; where there is one, no other is decoded."""
        self._seek(at_s)
        for packet in self._packets():
            if packet.size and packet.is_keyframe and packet.pts is not None and packet.time_base:
                context, begins_s = self.stream.codec_context, float(packet.pts * packet.time_base)
                with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                    # without an end to wait for, a decoder would first want what follows
                    for frame in (*context.decode(packet), *context.decode(None)):
                        self._check_size(frame.width, frame.height)
                        return begins_s, frame
                break
        return next(self.frames(at_s), None)

    def frames(self, from_s: float | None = None) -> Iterator[tuple[float, av.VideoFrame]]:
        """Pictures and when they begin, from the last one on that stands for itself at `from_s`, or from the first."""
        if from_s is not None:
            self._seek(from_s)
        last_s, row = None, 0
        for packet in self._packets():
            try:
                decoded = packet.decode()
            except (av.FFmpegError, OSError, ValueError) as error:
                self._pass_over(error)
                row += 1
                if row > _MOST_ERRORS:
                    return
                continue
            for frame in decoded:
                self._check_size(frame.width, frame.height)
                told_s = float(frame.pts * frame.time_base) if frame.pts is not None and frame.time_base else None
                last_s = told_s if told_s is not None else 0.0 if last_s is None else last_s + self.step_s
                row = 0
                yield last_s, frame

    def packets(self, from_s: float) -> Iterator[av.Packet[VideoStream]]:
        """Packets as they are, from the last one on that stands for itself there."""
        self._seek(from_s)
        yield from (packet for packet in self._packets() if packet.size)

    def _opened(self, path: str) -> InputContainer:
        return av.open(path, options=NOTHING_ELSE, metadata_errors="replace")

    def _pass_over(self, _error: Exception) -> None:
        """A packet cannot be decoded."""
        self.errors += 1

    def _seek(self, to_s: float) -> None:
        if self.stream.time_base:
            with contextlib.suppress(av.FFmpegError, OSError):  # then it goes on where it is
                self._container.seek(max(0, int(to_s / self.stream.time_base)), stream=self.stream)

    def _packets(self) -> Iterator[av.Packet[VideoStream]]:
        try:
            yield from self._container.demux(self.stream)
        except (av.FFmpegError, OSError):
            self.errors += 1  # it breaks off here

    def _chosen(self) -> VideoStream:
        """The moving picture; what a song has for a cover does not count."""
        for stream in self._container.streams.video:
            if not stream.disposition & (Disposition.attached_pic | Disposition.still_image):
                if stream.codec_context is None:
                    raise PermanentError(f"the clip {self.name} is in a form that nothing here decodes", hint=_HINT)
                return stream
        raise PermanentError(f"{self.name} has no moving picture in it", hint="expected a clip with a video track")

    def _check_size(self, width: int, height: int) -> None:
        if min(width, height) < 2:  # noqa: PLR2004 - chroma has half of it
            raise PermanentError(f"the clip {self.name} has {width} x {height} pixels: expected more")
        if max(width, height) > LARGEST_SIDE or width * height > LARGEST_MEGAPIXELS * 1_000_000:
            got = f"the clip {self.name} has {width} x {height} pixels"
            most = f"at most {LARGEST_SIDE} a side are taken"
            raise PermanentError(f"{got}: {most}", hint="use a smaller clip")


def _said(error: Exception) -> str:
    told = error.strerror if isinstance(error, av.FFmpegError | OSError) else ""
    return told or type(error).__name__
