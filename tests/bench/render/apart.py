"""Pieces of a film's making, done again on their own so that they can be counted: mastering, AAC, muxing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

from actors.rendering.order import FilmOrder
from actors.rendering.sound import mastering as mastered_by
from actors.rendering.sound.samples import RATE_HZ, audio_frames, read_voice
from schema.settings.video import Video

_AAC_FRAME = 1024


def mastering(order: FilmOrder) -> Callable[[], object]:
    """Bringing the voice to its loudness, ready to be done: the voice is read already."""
    voice = read_voice(order.voice)

    def master() -> object:
        return mastered_by.mastered(voice, order.video.loudness_lufs, order.video.true_peak_dbtp)

    return master


def aac(film: Path, video: Video) -> Callable[[], object]:
    """Its sound, decoded already, ready to go through the encoder once more."""
    with av.open(str(film)) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)

    def encode() -> object:
        codec = av.CodecContext.create("aac", "w")
        codec.sample_rate, codec.layout, codec.format = RATE_HZ, "stereo", "fltp"
        codec.bit_rate = int(video.audio_bitrate.removesuffix("k")) * 1000
        return [packet for frame in (*audio_frames(sound, _AAC_FRAME), None) for packet in codec.encode(frame)]

    return encode


def demux(film: Path) -> list[Any]:
    """Only read the packets."""
    with av.open(str(film)) as container:
        return [packet for packet in container.demux() if packet.dts is not None]


def remux(film: Path) -> None:
    """Read the packets and write them to another file, the index first."""
    copy = film.with_suffix(".copy.mp4")
    with av.open(str(film)) as source, av.open(str(copy), "w", options={"movflags": "+faststart"}) as target:
        streams = {
            stream.index: target.add_stream_from_template(stream)
            for stream in source.streams
            if stream.type in ("video", "audio")
        }
        for packet in source.demux():
            if packet.dts is not None and packet.stream.index in streams:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    copy.unlink()
