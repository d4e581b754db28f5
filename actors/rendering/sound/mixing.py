"""Voice and music as one: phrases brought to one loudness, the bed ducked under them before they begin.

Gains change between phrases and never within one, so nothing pumps. The bed lies a fixed distance below the voice while
somebody speaks and rises in longer pauses, at the beginning and at the end. What phrases a voice has comes from the
voice itself, not from word times, which may be off. A mix is made block by block, as often as it is asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np

from actors.rendering.sound.loudness import STEP, STEPS_S, Curve
from actors.rendering.sound.samples import BLOCK, RATE_HZ, Samples, reblocked
from actors.rendering.sound.voice import Span, Voice

#: Of the distance of a phrase from the voice as a whole, this much is taken away, up to a limit, LU.
_LEVELLED, _LEVELLED_MAX_LU = 0.8, 12.0
#: Phrases shorter than this take the gain of a neighbour: a single word's loudness says little, seconds.
_PHRASE_MIN_S: Final = 0.8
#: A long phrase is judged in parts of about this length, seconds.
_PHRASE_MAX_S: Final = 6.0
#: A gain moves from one phrase's to the next one's within this, seconds.
_RAMP_S: Final = 0.3
#: The bed is down this long before a word and takes this long to get there; how long it stays down, and rises.
_AHEAD_S, _DOWN_S, _STAY_S, _UP_S = 0.06, 0.15, 0.15, 0.6
#: It does not rise in shorter pauses, seconds; how much it rises in one, and before and after all speech, dB.
_PAUSE_S, _PAUSE_DB, _ALONE_DB = 1.1, 5.0, 9.0
#: It begins from nothing, seconds.
_FADE_IN_S: Final = 0.15


class Bed(Protocol):
    """Music as long as the film."""

    @property
    def lufs(self) -> float:
        """How loud it is."""

    def blocks(self) -> Iterator[Samples]:
        """All of it, (2, BLOCK) at a time."""


class Mix:
    """The sound of a film before it is mastered, near `target_lufs`."""

    def __init__(
        self,
        voice: Voice,
        bed: Bed | None,
        *,
        start_s: float,
        duration_s: float,
        target_lufs: float,
        music_lu: float,
    ) -> None:
        """The voice begins at `start_s`; the bed lies `music_lu` below it while somebody speaks."""
        self._voice, self._bed = voice, bed
        self._start, self.count = round(start_s * RATE_HZ), round(duration_s * RATE_HZ)
        # One value more than there are steps: between the values, gains go straight.
        times_s = np.arange(self.count // STEP + 2) / STEPS_S
        self._voice_gain = _gain(target_lufs - voice.lufs + _at(times_s - start_s, levelling(voice)))
        spoken = [(begin + start_s, end + start_s) for begin, end in voice.phrases]
        below_db = _at(times_s, ducking(spoken, duration_s))
        self._bed_gain = _gain(target_lufs - music_lu + below_db - (bed.lufs if bed else 0))
        self._bed_gain *= np.minimum(1, times_s / _FADE_IN_S).astype(np.float32)

    def blocks(self) -> Iterator[Samples]:
        """The mix, BLOCK samples at a time: on two channels, or on one where there is no music."""
        begin = 0
        for voice, bed in itertools.zip_longest(self._placed(), self._bed.blocks() if self._bed else ()):
            first, count = begin // STEP, voice.shape[1]
            block: Samples = voice * spread(self._voice_gain[first:], count, STEP)
            if bed is not None:
                block = block + bed * spread(self._bed_gain[first:], count, STEP)
            begin += count
            yield block

    def _placed(self) -> Iterator[Samples]:
        """The voice at its place, with silence around it, as long as the film."""
        silence = (np.zeros((1, BLOCK), np.float32) for _ in itertools.repeat(None))
        before = np.zeros((1, self._start), np.float32)
        left = self.count
        for block in reblocked(itertools.chain([before], self._voice.blocks(), silence), 1):
            yield block[:, :left]
            left -= BLOCK
            if left <= 0:
                return


def levelling(voice: Voice) -> list[tuple[float, float]]:
    """Gains in dB at times of the voice that bring its phrases near each other."""
    parts = list(_parts(voice))
    if not parts:
        return [(0.0, 0.0)]
    loud = np.array([_loudness(voice, part) for part in parts])
    long = np.array([end - begin >= _PHRASE_MIN_S for begin, end in parts])
    if not long.any():
        long[:] = True
    gains = np.clip((voice.lufs - loud) * _LEVELLED, -_LEVELLED_MAX_LU, _LEVELLED_MAX_LU)
    middles = np.array([(begin + end) / 2 for begin, end in parts])
    near = np.abs(middles[:, None] - middles[long]).argmin(axis=1)
    own = gains[long][near]
    points = [(parts[0][0], float(own[0]))]
    for place, (before, after) in enumerate(itertools.pairwise(parts)):
        middle, half = (before[1] + after[0]) / 2, min(_RAMP_S, max(after[0] - before[1], _RAMP_S / 2)) / 2
        points += [(middle - half, float(own[place])), (middle + half, float(own[place + 1]))]
    return points


def ducking(spoken: list[Span], duration_s: float) -> list[tuple[float, float]]:
    """How many dB the bed is above its place under the voice, at times of the film."""
    if not spoken:
        return [(0.0, _ALONE_DB)]
    stretches = [spoken[0]]
    for begin, end in spoken[1:]:
        if begin - stretches[-1][1] < _PAUSE_S:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((begin, end))
    points: list[tuple[float, float]] = []
    high = _ALONE_DB
    for begin, end in stretches:
        down = begin - _AHEAD_S
        points += [(down - _DOWN_S, high), (down, 0.0), (end + _STAY_S, 0.0)]
        high = _ALONE_DB if end == stretches[-1][1] else _PAUSE_DB
        points.append((end + _STAY_S + _UP_S, high))
    return [(min(max(0.0, time_s), duration_s), level) for time_s, level in points]


def spread(curve: Curve, count: int, step: int) -> Curve:
    """A gain for each of `count` samples, straight between values that lie `step` samples apart."""
    steps = -(-count // step)
    values = np.pad(curve[: steps + 1], (0, max(0, steps + 1 - curve.size)), mode="edge")
    ramp = np.arange(step, dtype=np.float32) / np.float32(step)
    gains: Curve = (values[:-1, None] + np.diff(values)[:, None] * ramp).reshape(-1)[:count]
    return gains


def _parts(voice: Voice) -> Iterator[Span]:
    """The phrases; long ones are cut where they are softest."""
    for begin, end in voice.phrases:
        at = begin
        while end - at > 1.5 * _PHRASE_MAX_S:
            first, last = (round((at + share * _PHRASE_MAX_S) * STEPS_S) for share in (0.6, 1.3))
            soft = np.convolve(voice.energies[first:last], np.ones(5), "same")
            cut = (first + int(soft.argmin())) / STEPS_S
            yield at, cut
            at = cut
        yield at, end


def _loudness(voice: Voice, part: Span) -> float:
    """The loudness of one part by what is spoken in it, not by how much of it is."""
    first, last = round(part[0] * STEPS_S), max(round(part[1] * STEPS_S), round(part[0] * STEPS_S) + 1)
    heard = np.sort(voice.energies[first:last])
    louder = heard[heard.size // 3 :]
    return -0.691 + 10 * float(np.log10(louder.mean() * 0.75 + 1e-12))


def _at(times_s: np.ndarray[tuple[int, ...], np.dtype[np.float64]], points: list[tuple[float, float]]) -> Curve:
    # Points that were crowded together may have crossed.
    at = np.maximum.accumulate([time_s for time_s, _ in points])
    return np.interp(times_s, at, [level for _, level in points]).astype(np.float32)


def _gain(level_db: Curve) -> Curve:
    gains: Curve = np.power(np.float32(10), level_db / np.float32(20))
    return gains
