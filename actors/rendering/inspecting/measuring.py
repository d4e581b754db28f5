"""Measures a finished film in one pass over its packets: what is in it, what is wrong with it, how it sounds.

It judges nothing. Damage is counted, not repaired: every packet the decoder refuses is one error.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import msgspec
import numpy as np

from actors.rendering.inspecting.senses import Ear, Envelope, Eye, Span
from actors.rendering.sound.samples import FASTEST_HZ, SLOWEST_HZ, Loudness
from schema.settings.video import Video


def ignore(_frame: av.VideoFrame) -> None:
    """Nobody else looks."""


class Measured(msgspec.Struct, kw_only=True):
    """What a film is; spans are seconds of the film."""

    faststart: bool
    codec: str = ""
    audio_codec: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    pix_fmt: str = ""
    colour: tuple[int, int] = (0, 0)
    sample_rate_hz: int = 0
    channels: int = 0
    video_s: float = 0.0
    audio_s: float = 0.0
    frames_declared: int = 0
    frames: int = 0
    #: Frames that do not follow the one before at the distance of one frame.
    gaps: int = 0
    errors: int = 0
    black: list[Span] = []
    frozen: list[Span] = []
    silent: list[Span] = []
    loudness: Loudness = Loudness(-np.inf, -np.inf)
    #: Loudness of the moment, ten times a second.
    momentary_lufs: list[float] = []
    #: Of the mixed down sound, one value a millisecond.
    envelope: Envelope = np.zeros(0, np.float32)


def measure(
    path: str,
    video: Video,
    checkpoint: Callable[[], None],
    progress: Callable[[int, int], None],
    *,
    perceptual: bool = True,
    shown: Callable[[av.VideoFrame], None] = ignore,
) -> Measured:
    """Read the whole film once; unless `perceptual`, nothing black or frozen is looked for. `shown` gets each frame.

    Raises av.FFmpegError, OSError, IndexError or ValueError when it is no film at all, has not one track of each kind,
    or one that nothing here decodes.
    """
    with av.open(path, metadata_errors="replace") as container:
        pictures, sound = container.streams.video[0], container.streams.audio[0]
        _check(pictures, sound)
        for stream in (pictures, sound):
            # By default a decoder paints over damage and says nothing.
            stream.codec_context.options = {"err_detect": "explode"}
        pictures.thread_type = "AUTO"
        found = _declared(path, pictures, sound)
        eye, ear = Eye(pictures, video, looks=perceptual), Ear(sound, video)
        for packet in container.demux(pictures, sound):
            checkpoint()
            try:
                frames = packet.decode()
            except av.FFmpegError:
                found.errors += 1
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    eye.see(frame)
                    shown(frame)
                    progress(eye.frames, found.frames_declared)
                elif isinstance(frame, av.AudioFrame):
                    ear.hear(frame)
        found.frames, found.gaps = eye.frames, eye.gaps
        found.black, found.frozen = eye.close()
        found.momentary_lufs = ear.momentary_lufs
        found.loudness, found.silent, found.envelope = ear.close()
    return found


def _check(pictures: av.VideoStream, sound: av.AudioStream) -> None:
    for stream in (pictures, sound):
        if stream.codec_context is None:
            raise ValueError(f"a track of {stream.type} in a form that nothing here decodes")
    if not SLOWEST_HZ <= sound.rate <= FASTEST_HZ:
        raise ValueError(f"sound of {sound.rate} samples a second: expected {SLOWEST_HZ} to {FASTEST_HZ}")


def _declared(path: str, pictures: av.VideoStream, sound: av.AudioStream) -> Measured:
    codec = pictures.codec_context
    return Measured(
        faststart=_is_faststart(path),
        codec=codec.name,
        audio_codec=sound.codec_context.name,
        width=pictures.width,
        height=pictures.height,
        fps=float(pictures.average_rate or 0),
        pix_fmt=codec.pix_fmt or "",
        colour=(int(codec.colorspace), int(codec.color_range)),
        sample_rate_hz=sound.rate,
        channels=sound.channels,
        video_s=_length_s(pictures),
        audio_s=_length_s(sound),
        frames_declared=pictures.frames,
    )


def _length_s(stream: av.VideoStream | av.AudioStream) -> float:
    return float((stream.duration or 0) * stream.time_base) if stream.time_base else 0.0


def _is_faststart(path: str) -> bool:
    """Whether the index (`moov`) lies before the data (`mdat`), so that a player can begin at once."""
    with Path(path).open("rb") as file:
        while len(header := file.read(8)) == 8:  # noqa: PLR2004 - the header of an MP4 box
            size, kind = struct.unpack(">I4s", header)
            if kind in (b"moov", b"mdat"):
                return bool(kind == b"moov")
            if size == 1:  # the size is the following eight bytes
                size = int.from_bytes(file.read(8), "big") - 8
            if size < 8:  # noqa: PLR2004 - likewise; 0 means up to the end of the file
                return False
            file.seek(size - 8, 1)
    return False
