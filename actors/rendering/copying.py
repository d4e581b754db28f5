"""A plain copy of a clip: its moving picture alone, none of what else the file carried (place, camera, owner, sound).

The picture is not encoded anew. At most a minute of it is kept, from where it can be shown on. What cannot be shown in
a film is refused by name, here and not in the middle of one; it runs in a child process, since files of unknown origin
are decoded. It cannot remove what a camera wrote into the picture itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import av
from av.video.stream import VideoStream

from actors.rendering.drawing.clips import scout
from actors.rendering.drawing.fitting import turn
from actors.rendering.drawing.reels import Reel
from actors.rendering.order import ClipOrder, Copied
from schema.errors import PermanentError

_MOST_S: Final = 60.0
#: Containers, by the names that their files end with; the first that takes the codec is used.
_CONTAINERS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("mp4", {"movflags": "+faststart"}),
    ("mov", {"movflags": "+faststart"}),
    ("matroska", {}),
)
_SUFFIXES: Final = {"mp4": ".mp4", "mov": ".mov", "matroska": ".mkv"}


def copy(order: ClipOrder, *, checkpoint: Callable[[], None], progress: Callable[[int, int], None]) -> Copied:
    """Leave the copy beside the others. Raises PermanentError, naming the clip, when it cannot be used."""
    usable = scout(order.source)
    checkpoint()
    with Reel(order.source, threads=1) as reel:
        width, height = shown_size(reel, usable.start_s)
        if min(width, height) < order.least_side:
            got = f"the clip {reel.name} has {width} x {height} pixels"
            raise PermanentError(f"{got}: expected {order.least_side} or more on the shorter side")
        failure = ""
        for form, options in _CONTAINERS:
            out = Path(order.out).with_suffix(_SUFFIXES[form])
            try:
                _remux(reel, usable.start_s, out, form=form, options=options, checkpoint=checkpoint)
                with Reel(str(out), threads=1) as made:
                    if shown_size(made, 0.0) == (width, height):
                        progress(1, 1)
                        return Copied(str(out), width, height, min(_MOST_S, usable.length_s))
                failure = "it would not stand upright"
            except (av.FFmpegError, ValueError, PermanentError) as error:
                failure = str(error)
            out.unlink(missing_ok=True)
    raise PermanentError(f"the clip {Path(order.source).name} cannot be copied: {failure}")


def shown_size(reel: Reel, at_s: float) -> tuple[int, int]:
    """Width and height of the clip upright, with square pixels."""
    seen = reel.look(at_s)
    if seen is None:
        raise PermanentError(f"the clip {reel.name} cannot be decoded")
    width, height = round(seen[1].width * reel.pixel_aspect), seen[1].height
    return (height, width) if turn(seen[1]).is_sideways else (width, height)


def _remux(
    reel: Reel, from_s: float, out: Path, *, form: str, options: dict[str, str], checkpoint: Callable[[], None]
) -> None:
    """Write the packets from the last one on that stands for itself at `from_s`."""
    with av.open(str(out), "w", format=form, options=options) as container:
        stream = container.add_stream_from_template(reel.stream)
        assert isinstance(stream, VideoStream)  # noqa: S101 - what a moving picture gives
        stream.metadata.clear()
        for packet in reel.packets(from_s):
            if packet.pts is not None and packet.time_base and float(packet.pts * packet.time_base) > from_s + _MOST_S:
                break
            checkpoint()
            packet.stream = stream
            container.mux(packet)
