"""Pieces of a film's making, done again on their own so that they can be counted: mixing, AAC, mastering, muxing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np

from actors.rendering.order import FilmOrder
from actors.rendering.planning.plan import Plan
from actors.rendering.sound.mixing import Mix
from actors.rendering.sound.soundtrack import finished, mixed
from actors.rendering.sound.track import encoded
from actors.rendering.sound.voice import listen
from schema.settings.video import Video


def mix_of(order: FilmOrder) -> Mix:
    """Its voice and music, ready to be mixed as often as wanted; the film has been made."""
    plan = msgspec.json.decode(Path(order.plan_out).read_bytes(), type=Plan)
    return mixed(plan, listen(order.voice), order)


def mixing(mix: Mix) -> Callable[[], object]:
    """Mixing once, which every peer does."""
    return lambda: sum(block.shape[1] for block in mix.blocks())


def mastering(mix: Mix, video: Video) -> Callable[[], object]:
    """From the mix to the measured track: mixing and AAC are in it, each as often as it takes."""
    return lambda: finished(mix, video)


def aac(film: Path, video: Video) -> Callable[[], object]:
    """Its sound, decoded already, ready to go through the encoder once more."""
    with av.open(str(film)) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1).astype(np.float32)
    return lambda: encoded([sound], video.audio_bitrate)


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
