"""The limit, the encoder alone: `python -m tests.bench.render.bare ORDER.json OUT.mp4`, once for each line it gets.

Of stills it encodes the very frames of the film, held in memory as NV12; they are taken from the renderer, which makes
the film once for it, quickly encoded. Of clips it decodes what the plan shows and encodes it as it comes. Each time it
says what that took, in JSON: `{"cpu_s", "wall_s", "frames"}`. No sound; the encoder is set up by the renderer's own
functions, so that all is alike. Its own memory means nothing.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
from av.video.frame import PictureType

from actors.rendering.composing.cpu import CpuCompositor
from actors.rendering.encoding.encoder import add_pictures, libx264
from actors.rendering.film import render
from actors.rendering.nv12 import Nv12, blank, video_frame
from actors.rendering.order import FilmOrder
from actors.rendering.planning.plan import Plan, Shot


class Encoded(msgspec.Struct, frozen=True):
    """What one encode took."""

    cpu_s: float
    wall_s: float
    frames: int


def kept(order: FilmOrder, beside: Path) -> list[Nv12]:
    """Every frame of the film, as its compositor made it, copied."""
    frames: list[Nv12] = []
    compose = CpuCompositor.compose

    def keeping(*args: Any, **kwargs: Any) -> Nv12:  # noqa: ANN401 - whatever the compositor takes
        made = compose(*args, **kwargs)
        copy = blank(made.y.shape[1], made.y.shape[0])
        for target, plane in zip(copy.planes(), made.planes(), strict=True):
            np.copyto(target, plane)
        frames.append(copy)
        return made

    quick = msgspec.structs.replace(
        order,
        video=msgspec.structs.replace(order.video, preset="ultrafast", gpu="cpu"),
        out=str(beside / "kept.mp4"),
        plan_out=str(beside / "kept.json"),
    )
    its: Any = CpuCompositor
    its.compose = keeping  # for as long as this process lives
    made = render(quick, checkpoint=lambda: None, progress=lambda _frame, _of: None)
    if made.frames != len(frames):
        raise SystemExit(f"the compositor made {len(frames)} frames of a film of {made.frames}")
    return frames


def encode(order: FilmOrder, plan: Plan, frames: Iterable[av.VideoFrame], out: Path) -> Encoded:
    """Encode them, and count."""
    before, began_s, count = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter(), 0
    with av.open(str(out), "w", options={"movflags": "+faststart"}) as container:
        stream = add_pictures(container, (plan.width, plan.height), plan.fps, libx264(order.video))
        for frame in frames:
            frame.pts, frame.time_base = count, Fraction(1, plan.fps)
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Encoded(cpu_s, time.perf_counter() - began_s, count)


def decoded(order: FilmOrder, plan: Plan) -> Iterator[av.VideoFrame]:
    """The clips' frames on the film's grid, as they come out of their decoders.

    Where two shots overlap both are decoded, as both have to be, and the lower one is encoded.
    """
    for place, shot in enumerate(plan.shots):
        before_end = plan.shots[place - 1].end if place else 0
        for at, frame in _shown(order.pictures[shot.picture], shot, plan.fps):
            if at >= before_end:
                # x264 would obey what the clip's own encoder chose
                frame.pict_type = PictureType.NONE
                yield frame


def _shown(path: str, shot: Shot, fps: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """The frames of a film that a shot covers, each with the clip's frame of that time; the last one stays."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        coming = iter(container.decode(stream))
        now = next(coming)
        then = next(coming, None)
        for at in range(shot.first, shot.end):
            while then is not None and then.time is not None and then.time <= (at - shot.first) / fps:
                now, then = then, next(coming, None)
            yield at, now


def main(order_path: Path, out: Path) -> None:
    """Hold what there is to encode, then encode at each line."""
    order = msgspec.json.decode(order_path.read_bytes(), type=FilmOrder)
    plan = msgspec.json.decode(Path(order.plan_out).read_bytes(), type=Plan)
    has_clips = any(picture.kind == "clip" for picture in order.footage.pictures)
    held = [] if has_clips else kept(order, out.parent)
    _say({"ready": True})
    for _line in sys.stdin:
        _say(encode(order, plan, decoded(order, plan) if has_clips else map(video_frame, held), out))


def _say(line: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
