"""The finished track of sound: AAC, encoded once, measured as it will be heard, and muxed as it was measured.

A track is small (14 MB for ten minutes) and keeps nothing open. What the encoder puts before the first sample (1024
samples of priming) is noted in it, so that a player starts with the film's first sample.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import av
import numpy as np

from actors.rendering.sound.samples import RATE_HZ, Samples, audio_frames, reblocked

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

#: Samples of one packet.
FRAME: Final = 1024
BITRATES: Final = {"128k": 128_000, "192k": 192_000}
#: How FFmpeg's own encoder looks for its quantisers: on speech and music `fast` costs a third to a half of `twoloop`,
#: and came out nearer to its source in every band below 8 kHz at the same bitrate.
OPTIONS: Final = {"aac_coder": "fast"}


class Track:
    """AAC in a container of its own."""

    def __init__(self, data: bytes) -> None:
        """`data` is an MP4 with one track of AAC, as `encoded` makes it."""
        self.data = data

    def open(self) -> InputContainer:
        """The track to copy from: its one stream is a template, and demuxing it gives its packets. Close it."""
        return av.open(io.BytesIO(self.data), "r")

    def packets(self) -> Iterator[av.Packet[AudioStream]]:
        """The packets in their order, the first one before 0: the encoder's priming."""
        with self.open() as container:
            yield from (packet for packet in container.demux(container.streams.audio[0]) if packet.size)

    def blocks(self) -> Iterator[Samples]:
        """What is heard, (2, BLOCK) at a time."""
        with self.open() as container:
            frames = (frame.to_ndarray().astype(np.float32, copy=False) for frame in container.decode(audio=0))
            yield from reblocked(frames, 2)


def silent(duration_s: float, bitrate: str) -> Track:
    """A track in which there is nothing to hear."""
    return encoded([np.zeros((2, round(duration_s * RATE_HZ)), np.float32)], bitrate)


def encoded(blocks: Iterable[Samples], bitrate: str) -> Track:
    """The blocks, of two channels, as a track at one of BITRATES."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE_HZ, layout="stereo", options=OPTIONS)
        stream.bit_rate = BITRATES[bitrate]
        begin = 0
        for block in blocks:
            for frame in audio_frames(block, FRAME):
                frame.pts = (frame.pts or 0) + begin
                container.mux(stream.encode(frame))
            begin += block.shape[1]
        container.mux(stream.encode(None))
    return Track(file.getvalue())
