"""A card's decoder that is played: PyAV decodes in memory, and what comes out looks as if it lay on a card.

It checks how it is opened: as cupy shares its context, on a thread on which that is current. Planes have addresses and
no buffer, as PyAV's have none; rows are longer than pictures and their ends are garbage. A picture that nobody holds
any more is overwritten, so that who reads it too late shows something else; how many are held is counted. It can be
made to be missing and to fail; what it cannot show is a real NVDEC's arithmetic, limits and timing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Final
from weakref import finalize

import av
import av.error
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

_PITCH_BYTES: Final = 256
_GARBAGE: Final = 0x55
_EXTERNAL: Final = 542398533


class Decoder:
    """The decoder of one card, for all clips that are opened for it."""

    def __init__(self, is_bound: Callable[[], bool]) -> None:
        self._is_bound = is_bound
        #: Clips opened, and pictures decoded.
        self.opened, self.decoded = 0, 0
        #: Pictures that somebody holds, and the most there ever were at once.
        self.held, self.most_held = 0, 0
        #: Raised when a clip is opened, or when so many pictures were decoded.
        self.refuses: Exception | None = None
        self.fails_after = -1
        #: Levels by which its luma is wrong.
        self.brightens = 0
        #: Columns at the left that its pictures have and the file says are not shown.
        self.uncut = 0
        #: Whether the stream is one that it has a decoder for.
        self.knows = True
        #: So that what is read too late is not somebody else's.
        self._overwritten: deque[NDArray[np.uint8]] = deque(maxlen=16)

    def installed(self, patch: pytest.MonkeyPatch) -> None:
        """From now on `av.open` with a card opens for this one."""
        real = av.open

        def opened(file: Any, *args: Any, hwaccel: Any = None, **named: Any) -> Any:  # noqa: ANN401 - as PyAV's own
            return real(file, *args, **named) if hwaccel is None else self._open(real(file, *args, **named), hwaccel)

        patch.setattr(av, "open", opened)

    def _open(self, real: Any, how: Any) -> _Container:  # noqa: ANN401 - PyAV's
        assert self._is_bound(), "FFmpeg would find no context on this thread"
        assert how.options == {"primary_ctx": "0", "current_ctx": "1"}, "beside cupy FFmpeg shares no other context"
        assert (how.is_hw_owned, how.device_id) == (True, 0)
        if self.refuses is not None:
            real.close()
            raise self.refuses
        self.opened += 1
        return _Container(self, real)

    def taken(self, _memory: NDArray[np.uint8]) -> None:
        """Somebody holds a picture."""
        self.held += 1
        self.most_held = max(self.held, self.most_held)

    def released(self, memory: NDArray[np.uint8]) -> None:
        """Nobody does any more: it is overwritten."""
        self.held -= 1
        memory[:] = _GARBAGE
        self._overwritten.append(memory)


class _Seen:
    """Something of PyAV's, and what is another on a card."""

    def __init__(self, real: Any) -> None:  # noqa: ANN401 - PyAV's
        self._real = real

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - PyAV's
        return getattr(self._real, name)


class _Container(_Seen):
    def __init__(self, decoder: Decoder, real: Any) -> None:  # noqa: ANN401 - PyAV's
        super().__init__(real)
        self._decoder, self._reformatter = decoder, VideoReformatter()
        self.streams = SimpleNamespace(video=[_Stream(stream, decoder) for stream in real.streams.video])

    def demux(self, stream: _Stream) -> Iterator[_Packet]:
        """Packets to be decoded on the card."""
        for packet in self._real.demux(stream._real):
            yield _Packet(packet, self._decoder, self._reformatter)

    def seek(self, offset: int, *, stream: _Stream) -> None:
        """As it does."""
        self._real.seek(offset, stream=stream._real)


class _Stream(_Seen):
    def __init__(self, real: Any, decoder: Decoder) -> None:  # noqa: ANN401 - PyAV's
        super().__init__(real)
        self.codec_context = _Context(real.codec_context)
        self.codec_context.is_hwaccel = decoder.knows


class _Context(_Seen):
    is_hwaccel: bool


class _Packet(_Seen):
    def __init__(self, real: Any, decoder: Decoder, reformatter: VideoReformatter) -> None:  # noqa: ANN401 - PyAV's
        super().__init__(real)
        self._decoder, self._reformatter = decoder, reformatter

    def decode(self) -> list[_Frame]:
        """Its pictures, on the card."""
        frames = []
        for frame in self._real.decode():
            if self._decoder.decoded == self._decoder.fails_after:
                raise av.error.ExternalError(_EXTERNAL, "Generic error in an external library")
            self._decoder.decoded += 1
            frames.append(_Frame(frame, self._decoder, self._reformatter))
        return frames


class _Frame(_Seen):
    """NV12, or P010 where there are more bits, in rows that are longer than the picture."""

    def __init__(self, real: av.VideoFrame, decoder: Decoder, reformatter: VideoReformatter) -> None:
        super().__init__(real)
        name = "nv12" if real.format.components[0].bits == 8 else "p010le"
        self.format, self.sw_format = SimpleNamespace(name="cuda", is_rgb=False), SimpleNamespace(name=name)
        self.width = real.width + decoder.uncut
        there = reformatter.reformat(real, format=name)
        rows = [np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size) for plane in there.planes]
        height, size = real.height, 1 if name == "nv12" else 2
        pitch = -(-real.width * size // _PITCH_BYTES) * _PITCH_BYTES
        # a coded picture is often higher than the one that is shown
        memory = np.full(((height + 16) * 3 // 2, pitch), _GARBAGE, np.uint8)
        places = (memory[:height], memory[height + 16 :][: -(-height // 2)])
        for place, plane in zip(places, rows, strict=True):
            columns = -(-real.width // 2) * 2 * size
            place[:, :columns] = plane[: len(place), :columns]
        places[0][:] += np.uint8(decoder.brightens)
        self.planes = tuple(SimpleNamespace(buffer_ptr=place.ctypes.data, line_size=pitch) for place in places)
        decoder.taken(memory)
        finalize(self, decoder.released, memory).atexit = False
