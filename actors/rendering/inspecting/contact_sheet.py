"""One picture of a finished film, for a glance: its frames, its sound, what the inspection found, what it cost.

Drawn from what the inspection decodes anyway. Frames are taken at even steps and in each scene, where words are shown;
the strip below has the sound's level, its loudness against the wanted one, scenes, and what is black, frozen or silent.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageDraw

from actors.rendering.drawing import fonts, lettering
from actors.rendering.inspecting.measuring import Measured
from actors.rendering.inspecting.senses import ENVELOPE_HZ
from actors.rendering.order import InspectionOrder
from actors.rendering.planning.plan import Plan
from schema.documents import Finding
from schema.errors import PermanentError

_WIDTH, _EDGE, _GAP = 1600, 32, 10
#: Frames at even steps; with those of scenes there are never more than twice as many.
_EVEN: Final = 12
#: Two frames nearer to each other than this show the same, seconds.
_APART_S: Final = 0.6
_COLUMNS_WIDE, _COLUMNS_TALL = 6, 10
_STRIP: Final = 120
#: Momentary loudness is drawn from here to 0 LUFS.
_SOFTEST_LUFS: Final = -40.0
_PAPER, _INK, _FAINT, _LIT = (20, 22, 28), (235, 236, 240), (140, 146, 160), (120, 170, 255)
_GOOD, _BAD, _LOUD = (110, 210, 140), (255, 105, 97), (255, 200, 90)
_LARGE, _SMALL = 34, 17


class Glance(NamedTuple):
    """A frame as it was seen, small."""

    at_s: float
    picture: Image.Image


class Glances:
    """Takes the frames that the sheet will show from all that pass by, in rising order."""

    def __init__(self, plan: Plan) -> None:
        """The moments are chosen by the plan."""
        self._left = list(moments(plan))
        self._size = _tile(plan)
        self._small = VideoReformatter()
        self.taken: list[Glance] = []

    def see(self, frame: av.VideoFrame) -> None:
        """Keep it, small, if its moment has come."""
        at_s = frame.time or 0.0
        if not self._left or at_s < self._left[0]:
            return
        while self._left and at_s >= self._left[0]:
            self._left.pop(0)
        small = self._small.reformat(frame, *self._size, format="rgb24")
        self.taken.append(Glance(at_s, Image.fromarray(small.to_ndarray())))


def moments(plan: Plan) -> Iterator[float]:
    """When to look, in seconds: at even steps and in the middle of each scene, rather where words are shown."""
    steps = [(place + 0.5) / _EVEN * plan.frames for place in range(_EVEN)]
    scenes: dict[int, tuple[int, int]] = {}
    for shot in plan.shots:
        scenes[shot.scene] = (scenes.get(shot.scene, (shot.first, 0))[0], shot.end)
    wanted = [_worded(round(frame), plan) for frame in (*steps, *((begin + end) / 2 for begin, end in scenes.values()))]
    last, count = -np.inf, 0
    for frame in sorted(wanted):
        if frame - last >= _APART_S * plan.fps and count < 2 * _EVEN:
            last, count = frame, count + 1
            yield frame / plan.fps


def _worded(frame: int, plan: Plan) -> int:
    """The middle of a caption close by; else the frame itself."""
    middles = [(caption.first + caption.end) // 2 for caption in plan.captions]
    near = min(middles, key=lambda middle: abs(middle - frame), default=frame)
    return near if abs(near - frame) <= plan.fps else frame


def draw(
    order: InspectionOrder, plan: Plan, found: Measured, glances: Glances, findings: Sequence[Finding]
) -> Image.Image:
    """The sheet."""
    width, height = _tile(plan)
    columns = _COLUMNS_WIDE if plan.width > plan.height else _COLUMNS_TALL
    rows = -(-len(glances.taken) // columns)
    tiles_at = _EDGE + 2 * _LARGE + 2 * _SMALL
    strip_at = tiles_at + rows * (height + 2 * _SMALL + _GAP)
    words_at = strip_at + _STRIP + 2 * _SMALL
    lines = [_told(finding) for finding in findings]
    sheet = Image.new("RGB", (_WIDTH, words_at + (len(lines) + 1) // 2 * round(1.6 * _SMALL) + _EDGE), _PAPER)
    pen = _Pen(sheet, " ".join((order.title, *(line for line, _ in lines))))
    _head(pen, order, plan, findings)
    for place, glance in enumerate(glances.taken):
        left, top = _EDGE + place % columns * (width + _GAP), tiles_at + place // columns * (height + 2 * _SMALL + _GAP)
        sheet.paste(glance.picture, (left, top))
        pen.write((left, top + height + 3), _clock(glance.at_s), _SMALL, _FAINT)
    _strip(pen, strip_at, plan, found, order.video.loudness_lufs)
    for place, (line, colour) in enumerate(lines):
        left = _EDGE + place % 2 * (_WIDTH - 2 * _EDGE) // 2
        pen.write((left, words_at + place // 2 * round(1.6 * _SMALL)), line, _SMALL, colour, (_WIDTH - 3 * _EDGE) // 2)
    return sheet


def _head(pen: _Pen, order: InspectionOrder, plan: Plan, findings: Sequence[Finding]) -> None:
    size_bytes = Path(order.film).stat().st_size
    failed = sum(not finding.passed for finding in findings)
    facts = (
        f"{plan.width} x {plan.height} at {plan.fps}",
        f"{_clock(plan.duration_s)}",
        f"{size_bytes / 1e6:.1f} MB",
        f"{size_bytes * 8 / 1e6 / plan.duration_s:.1f} Mb/s",
        f"style {plan.style}",
        *([f"cost {order.cost}"] if order.cost else []),
        f"all {len(findings)} checks passed" if not failed else f"{failed} of {len(findings)} checks failed",
    )
    pen.write((_EDGE, _EDGE), order.title or Path(order.film).name, _LARGE, _INK, _WIDTH - 2 * _EDGE)
    pen.write((_EDGE, _EDGE + round(1.5 * _LARGE)), ",  ".join(facts), _SMALL, _BAD if failed else _GOOD)


def _strip(pen: _Pen, top: int, plan: Plan, found: Measured, wanted_lufs: float) -> None:
    """The sound from the film's first moment to its last, and under it what is wrong where."""
    wide, seconds = _WIDTH - 2 * _EDGE, max(plan.duration_s, 0.1)

    def across(at_s: float) -> float:
        return _EDGE + wide * min(max(at_s / seconds, 0.0), 1.0)

    def level(lufs: float) -> float:
        return top + _STRIP * min(max(lufs / _SOFTEST_LUFS, 0.0), 1.0)

    loudest = max(float(found.envelope.max(initial=0.0)), 1e-3)
    edges = np.linspace(0, round(seconds * ENVELOPE_HZ), wide + 1).astype(int)
    for place, (begin, end) in enumerate(itertools.pairwise(edges)):
        heard = found.envelope[begin : max(end, begin + 1)]
        half = _STRIP / 2 * float(heard.max()) / loudest if heard.size else 0.0
        pen.line((_EDGE + place, top + _STRIP / 2 - half), (_EDGE + place, top + _STRIP / 2 + half), _LIT)
    for begins in {shot.scene: shot.first / plan.fps for shot in reversed(plan.shots)}.values():
        pen.line((across(begins), top), (across(begins), top + _STRIP), _FAINT)
    pen.line((_EDGE, level(wanted_lufs)), (_EDGE + wide, level(wanted_lufs)), _GOOD)
    loud = [(across(place / 10), level(lufs)) for place, lufs in enumerate(found.momentary_lufs) if np.isfinite(lufs)]
    for one, other in itertools.pairwise(loud):
        pen.line(one, other, _LOUD)
    for span in (*found.black, *found.frozen, *found.silent):
        pen.line((across(span[0]), top + _STRIP + 4), (across(span[1]), top + _STRIP + 4), _BAD, 5)
    said = f"level, loudness of the moment and {wanted_lufs:g} LUFS; scenes; red below: black, frozen or silent"
    pen.write((_EDGE, top + _STRIP + 9), said, _SMALL - 3, _FAINT)


class _Pen:
    """Writes on the sheet, in letters that can be drawn."""

    def __init__(self, sheet: Image.Image, text: str) -> None:
        self._draw = ImageDraw.Draw(sheet)
        try:
            self._font = fonts.choose(text)
        except PermanentError:
            self._font = fonts.choose("")

    def write(
        self, at: tuple[int, int], text: str, size_px: int, colour: tuple[int, int, int], width_px: int = _WIDTH
    ) -> None:
        face = self._font.face(size_px, fonts.SEMI_BOLD)
        try:
            fonts.choose(text)
        except PermanentError:
            text = text.encode("ascii", "replace").decode()
        lettering.write(self._draw, at, lettering.shortened(text, face, width_px), face, (*colour, 255))

    def line(
        self, start: tuple[float, float], end: tuple[float, float], colour: tuple[int, int, int], width: int = 1
    ) -> None:
        self._draw.line((start, end), fill=colour, width=width)


def _tile(plan: Plan) -> tuple[int, int]:
    """How large a frame is on the sheet."""
    columns = _COLUMNS_WIDE if plan.width > plan.height else _COLUMNS_TALL
    width = ((_WIDTH - 2 * _EDGE - (columns - 1) * _GAP) // columns) // 2 * 2
    return width, round(width * plan.height / plan.width) // 2 * 2


def _told(finding: Finding) -> tuple[str, tuple[int, int, int]]:
    if finding.passed:
        return f"{finding.check}: {finding.measured}", _FAINT
    return f"{finding.check}: {finding.measured} (allowed: {finding.allowed})", _BAD


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"
