"""The finished film: pictures and sound, packet by packet as they were encoded, with chapters and what is said of it.

Guarantees that the file appears under its name whole or not at all, its index in front, and that every frame follows
the one before: what does not fit together raises, and is no film.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from actors.rendering.encoding.parts import FORMAT
from actors.rendering.encoding.segments import Stretch
from actors.rendering.planning.about import About
from actors.rendering.sound.track import Track
from schema.errors import RetryableError

#: `use_metadata_tags` is left out on purpose: players know the tags of iTunes, which are the default.
_OPTIONS: Final = {"movflags": "+faststart"}
#: All that must be known of a part stands in its head; to find out more, FFmpeg would decode its first seconds.
_UNPROBED: Final = {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"}


class UnfitError(RetryableError):
    """The parts of a film do not fit together; without them it is begun anew."""


class _Source(NamedTuple):
    """One stretch, opened."""

    stretch: Stretch
    container: InputContainer
    stream: VideoStream


def mux(
    out: Path,
    fps: int,
    stretches: Iterable[Stretch],
    track: Track,
    about: About,
    *,
    checkpoint: Callable[[], None],
) -> None:
    """Write the film. Raises UnfitError when the stretches are not one after the other what one encoder made."""
    part = Path(f"{out}.part")
    try:
        _write(part, fps, stretches, track, about, checkpoint=checkpoint)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _write(
    part: Path, fps: int, stretches: Iterable[Stretch], track: Track, about: About, *, checkpoint: Callable[[], None]
) -> None:
    with ExitStack() as rooms:
        sources = [_opened(stretch, rooms) for stretch in stretches]
        heard = rooms.enter_context(track.open())
        container = rooms.enter_context(av.open(str(part), "w", format=FORMAT, options=_OPTIONS))
        pictures = container.add_stream_from_template(sources[0].stream)
        sound = container.add_stream_from_template(heard.streams.audio[0])
        pictures.time_base = Fraction(1, fps)
        _describe(container, sound, about)
        step_s = float(heard.streams.audio[0].time_base or 0)
        unheard = (packet for packet in heard.demux(heard.streams.audio[0]) if packet.dts is not None)
        ahead = next(unheard, None)
        for packet in _pictures(sources, fps):
            checkpoint()
            now_s = (packet.dts or 0) / fps
            while ahead is not None and (ahead.dts or 0) * step_s <= now_s:
                ahead.stream = sound
                container.mux(ahead)
                ahead = next(unheard, None)
            packet.stream = pictures
            container.mux(packet)
        while ahead is not None:
            ahead.stream = sound
            container.mux(ahead)
            ahead = next(unheard, None)


def _describe(container: OutputContainer, sound: AudioStream, about: About) -> None:
    container.metadata.update(about.tags)
    sound.metadata["language"] = about.language
    container.set_chapters(
        [
            {
                "id": number,
                "start": chapter.start_ms,
                "end": chapter.end_ms,
                "time_base": Fraction(1, 1000),
                "metadata": {"title": chapter.title},
            }
            for number, chapter in enumerate(about.chapters)
        ]
    )


def _opened(stretch: Stretch, rooms: ExitStack) -> _Source:
    container = rooms.enter_context(av.open(stretch.opened(), "r", format=FORMAT, options=_UNPROBED))
    return _Source(stretch, container, container.streams.video[0])


def _pictures(sources: list[_Source], fps: int) -> Iterator[av.Packet[VideoStream]]:
    """The packets of all stretches in their order, stamped in frames of the film."""
    one_frame = Fraction(1, fps)
    head, last = bytes(sources[0].stream.codec_context.extradata or b""), -(1 << 62)
    for stretch, container, stream in sources:
        if bytes(stream.codec_context.extradata or b"") != head:
            raise UnfitError(f"the part from frame {stretch.first} on was encoded by another encoder")
        count, begins, unit = 0, 0, float((stream.time_base or Fraction(1)) * fps)
        for packet in container.demux(stream):
            if packet.pts is None or packet.dts is None or not packet.size:
                continue
            pts, dts = (round(stamp * unit) for stamp in (packet.pts, packet.dts))
            # A part begins with a key frame, which is also the first that is shown.
            begins = pts if count == 0 else begins
            packet.pts, packet.dts = pts - begins + stretch.first, dts - begins + stretch.first
            packet.time_base, packet.duration = one_frame, 1
            if packet.dts <= last or (count == 0 and not packet.is_keyframe):
                raise UnfitError(f"the part from frame {stretch.first} on does not go on where the one before ends")
            count, last = count + 1, packet.dts
            yield packet
        if count != stretch.mark.frames:
            raise UnfitError(f"the part from frame {stretch.first} on has {count} frames: {stretch.mark.frames} noted")
