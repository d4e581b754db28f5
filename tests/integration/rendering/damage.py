"""Films with a fault: what is not at fault is copied packet by packet, so that everything else stays right."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from actors.rendering.sound.samples import RATE_HZ, Samples, audio_frames

Packet: TypeAlias = "av.Packet[av.VideoStream] | av.Packet[av.AudioStream]"
#: yuv420p, (height * 3 / 2, width).
Picture = NDArray[np.uint8]
Pictures = list[Picture]


def with_pictures(film: str, out: Path, change: Callable[[Pictures], Pictures], *, fps: int = 30) -> str:
    """The film with its pictures changed and encoded again."""
    with av.open(film) as source:
        seen = [frame.to_ndarray(format="yuv420p").astype(np.uint8) for frame in source.decode(video=0)]
    changed = change(seen)
    with av.open(film) as source, _written(out) as target:
        video = target.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        video.height, video.width = changed[0].shape[0] * 2 // 3, changed[0].shape[1]
        codec = video.codec_context
        codec.colorspace = codec.color_primaries = codec.color_trc = codec.color_range = 1
        audio = target.add_stream_from_template(source.streams.audio[0])
        for number, picture in enumerate(changed):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            target.mux(video.encode(frame))
        target.mux(video.encode(None))
        _copy(source.demux(audio=0), audio, target)
    return str(out)


def with_sound(film: str, out: Path, change: Callable[[Samples], Samples]) -> str:
    """The film with its sound, (2, samples), changed and encoded again."""
    with av.open(film) as source:
        heard = np.concatenate([frame.to_ndarray() for frame in source.decode(audio=0)], axis=1).astype(np.float32)
    with av.open(film) as source, _written(out) as target:
        video = target.add_stream_from_template(source.streams.video[0])
        audio = target.add_stream("aac", rate=RATE_HZ, layout="stereo")
        audio.bit_rate = 192_000
        _copy(source.demux(video=0), video, target)
        for block in audio_frames(change(heard), 1024):
            target.mux(audio.encode(block))
        target.mux(audio.encode(None))
    return str(out)


def with_packets(film: str, out: Path, keep: Callable[[list[Packet]], list[Packet]], *, faststart: bool = True) -> str:
    """The film with only some of the packets of its pictures."""
    with av.open(film) as source, _written(out, faststart=faststart) as target:
        video = target.add_stream_from_template(source.streams.video[0])
        audio = target.add_stream_from_template(source.streams.audio[0])
        _copy(keep([packet for packet in source.demux(video=0) if packet.size]), video, target)
        source.seek(0)
        _copy(source.demux(audio=0), audio, target)
    return str(out)


def _written(out: Path, *, faststart: bool = True) -> OutputContainer:
    return av.open(str(out), "w", format="mp4", options={"movflags": "+faststart"} if faststart else {})


def _copy(packets: Iterable[Packet], stream: av.VideoStream | av.AudioStream, target: OutputContainer) -> None:
    for packet in packets:
        if packet.dts is not None:
            packet.stream = stream
            target.mux(packet)
