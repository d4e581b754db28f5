"""The pictures of a film, prepared one shot ahead of the frame that needs them, and dropped behind it.

At most three prepared pictures are held; of a clip, its decoder and two of its frames, on the card that decodes it if
one does, where the compositor holds what it still reads. A picture that cannot be decoded
raises when its first frame is asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from actors.rendering.composing.compositor import Canvas, Compositor, Layer
from actors.rendering.drawing import stills
from actors.rendering.drawing.clips import Clip
from actors.rendering.drawing.transitions import WHOLLY, Cover, cover
from actors.rendering.planning.clipping import Part
from actors.rendering.planning.plan import Plan, Shot

#: A freeze is seen where a second of motion changes less than this, in levels of luma (of 255). The inspection
#: listens at -60 dB, 0.26 levels; twice that leaves room for what the encoder smooths away.
_SEEN_LEVELS = 0.5
#: How much of the last picture is seen under the end card.
_UNDER_THE_END = 0.4
#: A clip is opened so long before its shot, seconds of film: an open one holds its decoder's memory.
_OPENED_S = 1.5


class Shots:
    """Layers of frames, in rising order of frames; a context manager, for its thread."""

    def __init__(self, plan: Plan, pictures: tuple[str, ...], compositor: Compositor, *, first: int = 0) -> None:
        """`first` is the first frame that will be asked for."""
        self._plan, self._pictures, self._compositor = plan, pictures, compositor
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self._canvases: dict[int, Future[Canvas]] = {}
        #: By shot, as two shots of one clip show it at two places.
        self._clips: dict[int, Future[Clip]] = {}
        self._first = first
        self._current = max(bisect_right([shot.first for shot in plan.shots], first) - 1, 0)
        self._flat: set[int] = set()
        #: What went wrong with clips, and which of them the CPU decodes though there is a card, in words.
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        """Begin with the first pictures."""
        self._want(self._current)
        self._roll(self._first)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the picture in hand; begin no other."""
        self._ahead.shutdown(wait=True, cancel_futures=True)
        self._drop(set(self._clips))

    @property
    def flat(self) -> tuple[int, ...]:
        """The shots so far in which nothing can be seen to move."""
        return tuple(sorted(self._flat))

    def layers(self, frame: int) -> tuple[Layer, ...]:
        """The pictures of this frame, the lower one first."""
        shots = self._plan.shots
        while self._current + 1 < len(shots) and frame >= shots[self._current + 1].first:
            self._current += 1
            self._want(self._current)
        self._roll(frame)
        upper = shots[self._current]
        taken = cover(upper.transition, (frame - upper.first + 1) / (upper.fade + 1))
        top = self._layer(self._current, frame, taken)
        return (top,) if taken == WHOLLY else (self._layer(self._current - 1, frame, WHOLLY), top)

    def _layer(self, place: int, frame: int, taken: Cover) -> Layer:
        shot = self._plan.shots[place]
        if shot.part is not None:
            clip = self._clips[place].result()
            clip.seek((frame - shot.first) / self._plan.fps)
            if clip.is_still:
                self._flat.add(place)
            return Layer(self._compositor.moving(clip), 1.0, 0.5, 0.5, *taken)
        progress = (frame - shot.first) / max(1, shot.end - shot.first - 1)
        canvas = self._canvases[shot.picture].result()
        if frame == shot.first:
            levels = _levels_a_second(canvas, shot, self._plan)
            covered = any(card.kind == "outro" and card.first < shot.end for card in self._plan.cards)
            if levels * (_UNDER_THE_END if covered else 1) < _SEEN_LEVELS:
                self._flat.add(place)
        return Layer(canvas, *shot.move.at(progress), *taken)

    def _want(self, place: int) -> None:
        """Keep the shots around this one, and let the next one be prepared."""
        near = self._plan.shots[max(0, place - 1) : place + 2]
        stay = {shot.picture: shot.focus for shot in near if shot.part is None}
        self._canvases = {picture: canvas for picture, canvas in self._canvases.items() if picture in stay}
        for picture in sorted(
            stay.keys() - self._canvases.keys(), key=lambda picture: picture != self._plan.shots[place].picture
        ):
            self._canvases[picture] = self._ahead.submit(self._prepared, self._pictures[picture], stay[picture])

    def _roll(self, frame: int) -> None:
        """Keep the clips of this frame open, let one that is due soon be opened, and close the others."""
        shots, soon = self._plan.shots, frame + round(_OPENED_S * self._plan.fps)
        near = {
            place
            for place in range(max(0, self._current - 1), min(self._current + 2, len(shots)))
            if shots[place].part is not None and frame < shots[place].end and shots[place].first <= soon
        }
        self._drop(self._clips.keys() - near)
        for place in sorted(near - self._clips.keys()):
            part = shots[place].part
            assert part is not None  # noqa: S101 - or it were not near
            self._clips[place] = self._ahead.submit(self._opened, self._pictures[shots[place].picture], part)

    def _opened(self, path: str, part: Part) -> Clip:
        return Clip(path, part, (self._plan.width, self._plan.height), self._compositor.card)

    def _drop(self, places: set[int]) -> None:
        """Close these clips, and keep what they had to say."""
        for place in sorted(places):
            opened = self._clips.pop(place)
            if not opened.cancel() and opened.exception() is None:
                clip = opened.result()
                clip.close()
                self.notes += filter(None, (clip.note, clip.by_cpu))

    def _prepared(self, path: str, focus: tuple[float, float]) -> Canvas:
        return self._compositor.prepare(stills.load(path, *self._compositor.canvas_size(), focus))


def _levels_a_second(canvas: Canvas, shot: Shot, plan: Plan) -> float:
    """How much a second of motion changes the luma, on average: slope times way."""
    return canvas.slope * shot.move.way * plan.width * plan.fps / (shot.end - shot.first)
