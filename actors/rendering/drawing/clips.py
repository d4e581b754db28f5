"""Clips as shots: judged before the first frame, then shown by time, one decoded picture at a time.

`scout` decodes a picture, so what cannot be shown is refused by name before anything is drawn, and finds where the
clip may begin: after black and a fade from it. A clip that breaks off while it is shown, or turns black, keeps showing
its last good picture; that, and a clip in which nothing moves, is told afterwards (`Clip.is_still`, `Clip.note`). So is
why the CPU decodes a clip where there is a card (`Clip.by_cpu`, see card_reels.py); it always does to scout.
"""

from __future__ import annotations

import itertools
from typing import Final

import av
import cv2
import numpy as np

from actors.rendering.composing.card import Card
from actors.rendering.composing.compositor import OnCard
from actors.rendering.drawing.card_reels import Decoding, lies_on_card, lying
from actors.rendering.drawing.fitting import Fitting
from actors.rendering.drawing.reels import Reel
from actors.rendering.nv12 import Nv12, Pixels, blank
from actors.rendering.planning.clipping import SHORTEST_S, Part, Usable
from schema.errors import PermanentError

#: A small look at a frame, for what is black and what stands still.
_LOOK: Final = (96, 54)
#: Black, as the inspection has it (blackdetect: 98% of pixels at most 10% bright), and a little safer.
_BLACK_LUMA, _BLACK_SHARE = 42, 0.97
#: A clip fades in while it is darker than this share of what it becomes, within so many seconds.
_FADED_IN, _FADE_S = 0.85, 2.0
#: Brighter pictures on average are in the middle of no fade.
_DIM_LUMA: Final = 84
#: Pictures that stand for themselves which are looked at, spread over the clip.
_LOOKS: Final = 24
#: Levels of luma (of 255) that a picture must differ by from what was seen before, on average, to have moved, and how
#: long it may not. The inspection listens at 0.26 levels for a second.
_MOVED_LEVELS, _STILL_S = 0.5, 0.5


def scout(path: str) -> Usable:
    """Which part of the clip can be shown, and from where on.

    Raises PermanentError, naming the file: no moving picture, none that can be decoded, too short, black all along.
    """
    with Reel(path, threads=1) as reel:
        spans = list(reel.times())
        first_s, end_s = min((span[0] for span in spans), default=0.0), max((span[1] for span in spans), default=0.0)
        keys = sorted(begin for begin, _, is_key in spans if is_key)
        if len(spans) > 1 and end_s - first_s < SHORTEST_S:
            raise PermanentError(
                f"the clip {reel.name} is {end_s - first_s:.2f} s long: expected {SHORTEST_S} s or more"
            )
        looks = _looks(reel, keys or [first_s])
        if len(spans) <= 1 or not looks:
            what = "holds one picture only" if looks else "cannot be decoded"
            raise PermanentError(f"the clip {reel.name} {what}", hint="expected a clip that can be played")
        start_s, end_s = _brightest_run(reel.name, looks, end_s)
        if not any(at_s == start_s and look.mean() >= _DIM_LUMA for at_s, look in looks):
            start_s = _after_fade(reel, start_s, end_s)
        if end_s - start_s < SHORTEST_S:
            raise PermanentError(f"the clip {reel.name} is black but for {max(0.0, end_s - start_s):.2f} s")
        return Usable(round(start_s, 4), round(end_s, 4), tuple(round(key, 4) for key in keys if start_s < key < end_s))


def _looks(reel: Reel, keys: list[float]) -> list[tuple[float, Pixels]]:
    """Small pictures of the clip, spread over it, each with its time."""
    fitting = Fitting(_LOOK, reel.pixel_aspect)
    seen = (reel.look(key) for key in keys[:: max(1, -(-len(keys) // _LOOKS))])
    return [(at_s, _look(fitting, frame)) for at_s, frame in filter(None, seen)]


def _brightest_run(name: str, looks: list[tuple[float, Pixels]], end_s: float) -> tuple[float, float]:
    """The longest stretch in which no look was black, with the black look before it: it may turn bright after that."""
    edges = [*looks, (end_s, looks[-1][1])]
    runs: list[tuple[float, float]] = []
    for is_black, group in itertools.groupby(itertools.pairwise(edges), key=lambda pair: _is_black(pair[0][1])):
        stretch = list(group)
        if not is_black:
            runs.append((stretch[0][0][0], stretch[-1][1][0]))
    if not runs:
        if len(looks) > 1:
            raise PermanentError(f"the clip {name} is black all along", hint="use another clip")
        return looks[0][0], end_s
    begin_s, run_end_s = max(runs, key=lambda run: run[1] - run[0])
    before = [at_s for at_s, _ in looks if at_s < begin_s]
    return (before[-1] if before else begin_s), run_end_s


def _after_fade(reel: Reel, start_s: float, end_s: float) -> float:
    """When the first picture that is about as bright as those that follow begins."""
    fitting, seen = Fitting(_LOOK, reel.pixel_aspect), list[tuple[float, float]]()
    for at_s, frame in reel.frames(start_s):
        if at_s < start_s - reel.step_s / 2:
            continue
        look = _look(fitting, frame)
        if not seen and _is_black(look):
            continue
        seen.append((at_s, float(look.mean())))
        if at_s - seen[0][0] >= _FADE_S or at_s >= end_s:
            break
    if not seen:
        raise PermanentError(f"the clip {reel.name} is black all along", hint="use another clip")
    return next(at_s for at_s, mean in seen if mean >= _FADED_IN * seen[-1][1])


def _look(fitting: Fitting, frame: av.VideoFrame) -> Pixels:
    small = blank(*_LOOK)
    fitting.fill(frame, small)
    return small.y


def _is_black(luma: Pixels) -> bool:
    return float((luma <= _BLACK_LUMA).mean()) >= _BLACK_SHARE


class Clip:
    """One shot of a clip, for frames in rising order of time; fills frames of (width, height)."""

    def __init__(self, path: str, part: Part, size: tuple[int, int], card: Card | None = None) -> None:
        """Open it, and decode the first picture; on the card, if there is one and it can.

        Raises PermanentError, naming the file, when there is no picture.
        """
        self._pictures, self._part = Decoding(path, size, card), part
        self._fitting = Fitting(size, self._reel.pixel_aspect)
        self._next: tuple[float, av.VideoFrame] | None = None
        self._round = 0
        first = self._rewound()
        if first is None:
            self._reel.close()
            raise PermanentError(f"the clip {self._reel.name} cannot be decoded from {part.source_s:.2f} s on")
        self._now: av.VideoFrame = first
        self._good: av.VideoFrame | None = None
        self._seen: tuple[float, Pixels] | None = None
        #: Whether nothing was seen to move for a while.
        self.is_still = False
        #: What went wrong, in words; empty when nothing did.
        self.note = ""

    def close(self) -> None:
        """Close its file; the picture that it shows stays."""
        if self._reel.errors:
            self._tell(f"is damaged: {self._reel.errors} of its packets cannot be decoded")
        self._reel.close()

    def seek(self, elapsed_s: float) -> None:
        """Show what the shot shows after so many seconds; never earlier than before."""
        part, played_s = self._part, elapsed_s * self._part.speed
        if part.loop_s and played_s // part.loop_s != self._round:
            self._round = int(played_s // part.loop_s)
            self._now = self._rewound() or self._now
        wanted_s = part.source_s + played_s - self._round * part.loop_s
        # half a tick early, as times are rounded
        while self._next is not None and self._next[0] <= wanted_s + 0.5e-3:
            if _is_black(self._pictures.look(self._next[1])):
                self._tell(f"turns black {self._next[0]:.2f} s into it; its last picture before that stays")
            else:
                self._now = self._next[1]
            self._next = self._pictures.pull()
        if self._next is None and not part.loop_s and wanted_s > self._last_s + 2 * self._reel.step_s:
            self._tell(f"ends {self._last_s:.2f} s into it, earlier than it said; its last picture stays")
        self._watch(elapsed_s)

    def fill(self, target: Nv12) -> None:
        """Write the picture into these planes."""
        try:
            self._fitting.fill(self._now, target)
            self._good = self._now
        except (av.FFmpegError, cv2.error, ValueError) as error:
            self._good = self._good or self._pictures.same
            if self._good is None:
                raise PermanentError(f"the clip {self._reel.name} cannot be shown: {error}") from error
            self._tell(f"changes its form {self._last_s:.2f} s into it; its last picture before that stays")
            self._now = self._good
            self._fitting.fill(self._good, target)

    def on_card(self) -> OnCard | None:
        """Where the picture lies on the card, or None: it is in memory."""
        return lying(self._now, self._fitting) if lies_on_card(self._now) else None

    @property
    def by_cpu(self) -> str:
        """Why the CPU decodes it though there is a card, in words; empty where it does not."""
        why = self._pictures.by_cpu
        return why and f"the clip {self._reel.name} is decoded by the CPU: {why}"

    @property
    def _reel(self) -> Reel:
        return self._pictures.reel

    @property
    def _last_s(self) -> float:
        shown = self._now
        return float(shown.pts * shown.time_base) if shown.pts is not None and shown.time_base else 0.0

    def _rewound(self) -> av.VideoFrame | None:
        """The picture that covers the shot's beginning, or the first after it."""
        self._pictures.rewind(self._part.source_s)
        now = self._pictures.pull()
        self._next = self._pictures.pull()
        while self._next is not None and self._next[0] <= self._part.source_s + 0.5e-3:
            now, self._next = self._next, self._pictures.pull()
        return now[1] if now is not None else None

    def _watch(self, elapsed_s: float) -> None:
        """Note when nothing has moved for a while."""
        if self.is_still:
            return
        look = self._pictures.look(self._now)
        if self._seen is not None and self._seen[1].shape == look.shape:
            levels = np.abs(self._seen[1].astype(np.int16) - look).mean()
            if levels < _MOVED_LEVELS:
                self.is_still = elapsed_s - self._seen[0] > _STILL_S
                return
        self._seen = (elapsed_s, look.copy())

    def _tell(self, what: str) -> None:
        if not self.note:
            self.note = f"the clip {self._reel.name} {what}"
