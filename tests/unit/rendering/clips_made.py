"""Clips to show, made on the spot: small, short, and as odd as cameras, telephones and accidents make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from actors.rendering.nv12 import Pixels

#: Colours of the corners, from the upper left one on, clockwise.
CORNERS = ((200, 40, 40), (40, 180, 60), (50, 70, 210), (210, 200, 60))
#: Ticks in a second.
CLOCK = 90_000
Paint = Callable[[float], Pixels]


def corners(width: int, height: int) -> Paint:
    """Four colours, and a bright bar that travels from the left to the right in three seconds."""

    def painted(time_s: float) -> Pixels:
        picture = np.zeros((height, width, 3), np.uint8)
        middle_y, middle_x = height // 2, width // 2
        picture[:middle_y, :middle_x], picture[:middle_y, middle_x:] = CORNERS[:2]
        picture[middle_y:, middle_x:], picture[middle_y:, :middle_x] = CORNERS[2:]
        at = int(time_s / 3 * width)
        picture[:, at : at + max(2, width // 40)] = 235
        return picture

    return painted


def grey(width: int, height: int, level: Callable[[float], int]) -> Paint:
    """A picture of one level, with a mark that moves."""

    def painted(time_s: float) -> Pixels:
        picture = np.full((height, width, 3), level(time_s), np.uint8)
        at = int(time_s * 20) % (width - 8)
        picture[: height // 3, at : at + 8] = min(255, 2 * level(time_s))
        return picture

    return painted


def clip(
    path: Path,
    paint: Paint,
    *,
    seconds: float = 1.0,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    turned: int = 0,
    pixel_aspect: Fraction | None = None,
    colours: tuple[int, int, int] = (1, 1, 1),
    full_range: bool = False,
    gop: int = 250,
    options: dict[str, str] | None = None,
) -> str:
    """Write it, 25 pictures a second unless `times` says when each begins; `colours`: matrix, primaries, transfer."""
    begins = [number / 25 for number in range(round(seconds * 25))] if times is None else times
    first = paint(0.0)
    height, width = first.shape[:2]
    given = {"preset": "ultrafast", "crf": "12", "x265-params": "log-level=none", **(options or {})}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=given if codec.startswith("libx26") else options or {})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        context = stream.codec_context
        context.time_base, context.gop_size = Fraction(1, CLOCK), gop
        context.colorspace, context.color_primaries, context.color_trc = colours
        context.color_range = 2 if full_range else 1
        if pixel_aspect:
            context.sample_aspect_ratio = pixel_aspect
        if turned:
            stream.set_display_rotation(turned)
        container.start_encoding()
        for begin_s in begins:
            frame = av.VideoFrame.from_ndarray(paint(begin_s), format="rgb24").reformat(
                format=pix_fmt,
                src_colorspace="ITU709",
                dst_colorspace={1: "ITU709", 9: "BT2020"}.get(colours[0], "ITU601"),
                dst_color_range="JPEG" if full_range else "MPEG",
            )
            frame.pts, frame.time_base = round(begin_s * CLOCK), Fraction(1, CLOCK)
            frame.colorspace, frame.color_range = colours[0], 2 if full_range else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


def song_with_cover(path: Path, cover: Path) -> str:
    """Half a second of sound, with a picture that is not a moving one."""
    with av.open(str(path), "w", format="mp3") as container, av.open(str(cover)) as still:
        sound = container.add_stream("mp3", rate=44_100, layout="mono")
        picture = container.add_stream_from_template(still.streams.video[0])
        picture.disposition = av.stream.Disposition.attached_pic
        for packet in still.demux(still.streams.video[0]):
            if packet.size:
                packet.stream = picture
                container.mux(packet)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 22_050), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 44_100
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    return str(path)
