"""A bed of music made from nothing: chords, plucked figures, a bass and a little rhythm, in one of the moods.

The same mood, seed and length give the same bed. It has no loop and so no seam: every bar is written out, its sounds
made once and then placed. It ends with the film, on the tonic, and is made block by block: memory does not grow with
its length. It is a background: there is no melody in it that would be remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.rendering.sound.moods import BASS, Mood, Timbre, mood
from actors.rendering.sound.samples import BLOCK, RATE_HZ, Samples

_BEATS: Final = 4
#: Samples of a pad and of a struck note, with the room around it.
_PAD, _NOTE = 1 << 18, 1 << 17
#: Struck notes are made at half the rate: there is nothing in them above 8 kHz.
_HALF_HZ = RATE_HZ // 2
#: A chord grows out of the one before in this share of a bar.
_OVERLAP = 0.35
#: The last chord is heard for at least this long before it has faded, seconds; and how long it fades.
_LAST_S, _FADE_OUT_S = 1.2, 2.0
#: How the sounds stand to each other.
_PAD_LEVEL, _PLUCK_LEVEL, _BASS_LEVEL, _KICK_LEVEL, _SHAKER_LEVEL = 0.055, 0.085, 0.075, 0.10, 0.012
_DRUM = 1 << 13
#: The room: when its first wall answers, and how soon it is quiet, seconds.
_FIRST_WALL_S, _TAIL_S = 0.015, 0.30


class Sound(NamedTuple):
    """One sound at its place in the film; `gains` is left and right."""

    start: int
    samples: Samples
    gains: tuple[float, float]


class Bed:
    """The bed of one film."""

    def __init__(self, name: str, seed: int, duration_s: float, spoken_until_s: float) -> None:
        """Its last chord comes when nobody speaks any more, or a little before where little time is left.

        Raises PermanentError when there is no mood of this name.
        """
        self.mood = mood(name)
        self.count = round(duration_s * RATE_HZ)
        self._seed = seed
        self._sounds = _Sounds(self.mood, seed)
        self._last_s = max(0.0, min(spoken_until_s, duration_s - _LAST_S))
        fade = min(round(_FADE_OUT_S * RATE_HZ), self.count)
        self._fade = np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2

    @property
    def lufs(self) -> float:
        """How loud it is, about."""
        return self.mood.made_lufs

    def blocks(self) -> Iterator[Samples]:
        """The bed from its beginning, (2, BLOCK) at a time, the last one shorter."""
        coming, ringing = self._score(), list[Sound]()
        following = next(coming, None)
        for begin in range(0, self.count, BLOCK):
            end = min(begin + BLOCK, self.count)
            while following is not None and following.start < end:
                ringing.append(following)
                following = next(coming, None)
            block: Samples = np.zeros((2, end - begin), np.float32)
            for sound in ringing:
                _lay(block, begin, sound)
            ringing = [sound for sound in ringing if sound.start + sound.samples.shape[1] > end]
            yield self._faded(block, begin)

    def _faded(self, block: Samples, begin: int) -> Samples:
        fades_from = self.count - self._fade.size
        if begin + block.shape[1] > fades_from:
            first = max(0, fades_from - begin)
            block[:, first:] *= self._fade[begin + first - fades_from :][: block.shape[1] - first]
        return block

    def _score(self) -> Iterator[Sound]:
        """All that sounds, in the order in which it begins."""
        dice = np.random.default_rng(self._seed)
        own = self.mood
        # In half bars, so that a short film need not hurry or drag to end on a bar.
        halves = max(int(self._last_s > 0), round(self._last_s * own.tempo_bpm / 60 / (_BEATS / 2)))
        bar_s = self._last_s / max(1, halves) * 2
        turn = int(dice.integers(len(own.progressions)))
        for bar in range((halves + 1) // 2):
            row = own.progressions[(turn + bar // 8) % len(own.progressions)]
            # A film begins at home, whichever row it begins with.
            chord = row[bar % 4] if bar else 0
            length_s = min(bar_s, self._last_s - bar * bar_s)
            thin = bar == 0 or (bar + 1) * bar_s >= self._last_s
            played = self._bar(bar * bar_s, bar_s, length_s, chord, thin=thin, dice=dice)
            yield from sorted(played, key=lambda sound: sound.start)
        yield from self._end(self._last_s)

    def _bar(
        self, start_s: float, bar_s: float, length_s: float, chord: int, *, thin: bool, dice: np.random.Generator
    ) -> Iterator[Sound]:
        """One bar, or half of one; a thin one has no rhythm and half of the plucks."""
        own, sounds, eighth_s = self.mood, self._sounds, bar_s / 8
        yield Sound(_at(start_s), sounds.pad(chord, round((length_s + _OVERLAP * bar_s) * RATE_HZ)), (own.pad, own.pad))
        yield Sound(_at(start_s), sounds.struck(BASS, sounds.key(chord) - 24), (own.bass * _BASS_LEVEL,) * 2)
        figure = own.figures[int(dice.integers(len(own.figures))) if start_s else 0]
        lift = int(dice.integers(4) == 0)
        for place in range(round(length_s / eighth_s)):
            # Nobody plays like a clock.
            late_s, firm = float(dice.uniform(0, 0.012)), float(dice.uniform(0.7, 1.0))
            at = _at(start_s + place * eighth_s + late_s)
            note = figure[place]
            if note != "." and not (thin and place % 4):
                strength = own.plucks * _PLUCK_LEVEL * firm * (1.0 if place % 4 == 0 else 0.8)
                struck = sounds.struck(own.pluck, sounds.tone(chord, int(note) + lift) + 12)
                yield Sound(at, struck, _panned(strength, 0.35 * (-1) ** place * firm))
            if not thin and own.kick[place]:
                yield Sound(at, kick(), (own.kick[place] * _KICK_LEVEL,) * 2)
            if not thin and own.shaker[place]:
                yield Sound(at, shaker(), _panned(own.shaker[place] * _SHAKER_LEVEL * firm, 0.3))

    def _end(self, start_s: float) -> Iterator[Sound]:
        """The tonic, rolled upwards, and left to ring."""
        own, sounds = self.mood, self._sounds
        rest = min(self.count - _at(start_s) + RATE_HZ, _PAD)
        yield Sound(_at(start_s), sounds.pad(0, rest), (own.pad, own.pad))
        yield Sound(_at(start_s), sounds.struck(BASS, sounds.key(0) - 24), (own.bass * _BASS_LEVEL,) * 2)
        for place in range(len(own.voicing)):
            struck = sounds.struck(own.pluck, sounds.tone(0, place) + 12)
            strength = own.plucks * _PLUCK_LEVEL * 0.8
            yield Sound(_at(start_s + 0.07 * place), struck, _panned(strength, 0.3 * (-1) ** place))


class _Sounds:
    """The sounds of one mood, each made when it is first wanted."""

    def __init__(self, own: Mood, seed: int) -> None:
        self._mood, self._seed = own, seed
        self._pads: dict[int, Samples] = {}
        self._struck: dict[tuple[Timbre, int], Samples] = {}
        self._shaped: dict[tuple[int, int], Samples] = {}

    def key(self, degree: int) -> int:
        """The MIDI key of a degree of the scale; a chord's own note lies within a sixth of the tonic."""
        octave, step = divmod(degree, len(self._mood.scale))
        return self._mood.tonic + 12 * octave + self._mood.scale[step] - (12 if degree > 4 else 0)  # noqa: PLR2004 - beyond the fifth, downwards

    def tone(self, chord: int, note: int) -> int:
        """The key of the note of a chord, counted upwards through octaves."""
        voicing = self._mood.voicing[:3]
        octave, place = divmod(note, len(voicing))
        return self.key(chord) + 12 * octave + self._above(chord, voicing[place])

    def pad(self, chord: int, count: int) -> Samples:
        """A chord of this length that swells and dies away."""
        count = min(count, _PAD)
        if (chord, count) not in self._shaped:
            if chord not in self._pads:
                own = self.key(chord)
                keys = [own - 12, *(own + self._above(chord, step) for step in self._mood.voicing)]
                self._pads[chord] = pad(keys, self._mood.warmth, self._seed + chord)
            shape = np.ones(count, np.float32)
            edge = min(count // 2, round(_OVERLAP * 60 / self._mood.tempo_bpm * _BEATS * RATE_HZ))
            shape[:edge] = np.sin(np.linspace(0, np.pi / 2, edge, dtype=np.float32))
            shape[count - edge :] = shape[:edge][::-1]
            self._shaped[chord, count] = self._pads[chord][:, :count] * shape
        return self._shaped[chord, count]

    def struck(self, timbre: Timbre, key: int) -> Samples:
        """A note in its room."""
        if (timbre, key) not in self._struck:
            self._struck[timbre, key] = struck(timbre, key)
        return self._struck[timbre, key]

    def _above(self, chord: int, step: int) -> int:
        """Semitones from a chord's own note to the one `step` steps of the scale above it."""
        scale = self._mood.scale
        octave, place = divmod(chord % len(scale) + step, len(scale))
        return 12 * octave + scale[place] - scale[chord % len(scale)]


def pad(keys: list[int], warmth: float, seed: int) -> Samples:
    """A chord held by many players: each partial is a narrow band of noise, other on the left than on the right.

    This is Paul Nasca's PADsynth: made as a spectrum, so that it has no beginning and no beat.
    """
    bins = np.arange(_PAD // 2 + 1)
    used = int(5_000 * _PAD / RATE_HZ)
    strength = np.zeros(used, np.float32)
    for key in keys:
        pitch_hz = _pitch_hz(key)
        for partial in range(1, 9):
            centre, wide = pitch_hz * partial * _PAD / RATE_HZ, max(2.0, 0.0035 * pitch_hz * partial * _PAD / RATE_HZ)
            first, end = max(1, int(centre - 4 * wide)), min(used, int(centre + 4 * wide) + 1)
            if first >= end:
                break
            band = np.exp(-(((bins[first:end] - centre) / wide) ** 2)) / np.sqrt(wide)
            # Low keys carry a chord, high ones colour it.
            strength[first:end] += band * (warmth ** (partial - 1)) * (220 / pitch_hz) ** 0.5
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, (2, used)).astype(np.float32)
    spectrum = np.zeros((2, bins.size), np.complex64)
    spectrum[:, :used] = strength * (np.cos(angles) + 1j * np.sin(angles))
    held = np.fft.irfft(spectrum, _PAD)
    level = _PAD_LEVEL / np.sqrt((held**2).mean())
    scaled: Samples = (held * level).astype(np.float32)
    return scaled


def struck(timbre: Timbre, key: int) -> Samples:
    """A note struck once, with the room around it, that has ended within its length."""
    count = _NOTE // 2
    time_s = np.arange(count, dtype=np.float32) / _HALF_HZ
    pitch_hz, dry = _pitch_hz(key), np.zeros(count, np.float32)
    # High notes ring shorter, as on anything that is struck.
    ring_s = timbre.ring_s * (220 / pitch_hz) ** 0.3
    for number, strength in enumerate(timbre.partials, start=1):
        partial_hz = number * pitch_hz * (1 + timbre.stretch * number**2) ** 0.5
        if partial_hz > _HALF_HZ / 3:
            break
        rings_s = ring_s / number**timbre.damping
        heard = time_s[: min(count, round(7 * rings_s * _HALF_HZ))]
        wave = np.exp(heard * np.float32(-1 / rings_s))
        wave *= np.sin(heard * np.float32(2 * np.pi * partial_hz))
        dry[: heard.size] += np.float32(strength) * wave
    attack = round(timbre.attack_s * _HALF_HZ)
    dry[:attack] *= np.linspace(0, 1, attack, dtype=np.float32)
    ending = round(0.3 * _HALF_HZ)
    dry[-count // 2 :] *= np.linspace(1, 0, count // 2, dtype=np.float32)
    wet = np.zeros((2, _NOTE // 2 + 1), np.complex64)
    wet[:, : count // 2 + 1] = np.fft.rfft(dry).astype(np.complex64) * room()
    made = 2 * np.fft.irfft(wet, _NOTE)
    made[:, -2 * ending :] *= np.linspace(1, 0, 2 * ending)
    return made.astype(np.float32)


@cache
def room() -> NDArray[np.complex64]:
    """What a small hall adds to a note, left and right: the note itself, and a tail of noise that dies away."""
    count = _NOTE // 2
    time_s = np.arange(count) / _HALF_HZ
    tail = np.random.default_rng(1).normal(0, 1, (2, count)) * np.exp(-time_s / _TAIL_S) * (time_s > _FIRST_WALL_S)
    # Walls take the treble.
    tail = tail + np.roll(tail, 1, axis=1) + np.roll(tail, 2, axis=1) + np.roll(tail, 3, axis=1)
    tail[:, count // 2 :] = 0
    tail *= 0.35 / np.sqrt((tail**2).sum(axis=1, keepdims=True))
    tail[:, 0] = 1
    return np.fft.rfft(tail).astype(np.complex64)


@cache
def kick() -> Samples:
    """A soft drum, felt more than heard."""
    time_s = np.arange(_DRUM) / RATE_HZ
    angle = 2 * np.pi * (48 * time_s + 0.9 * (1 - np.exp(-time_s / 0.03)))
    beat = np.sin(angle) * np.exp(-time_s / 0.07) * np.minimum(1, time_s / 0.004)
    return np.tile(beat.astype(np.float32), (2, 1))


@cache
def shaker() -> Samples:
    """A breath of sand."""
    time_s = np.arange(_DRUM) / RATE_HZ
    grains = np.diff(np.random.default_rng(2).normal(0, 1, (2, _DRUM + 3)), axis=1)
    # Between a hiss and a rattle: neither the lowest nor the highest of what there is.
    grains = grains[:, 2:] + 2 * grains[:, 1:-1] + grains[:, :-2]
    return (grains * np.exp(-time_s / 0.025) * np.minimum(1, time_s / 0.012)).astype(np.float32)


def _lay(block: Samples, begin: int, sound: Sound) -> None:
    """Add of a sound what falls into the block that begins there."""
    first, end = max(sound.start, begin), min(sound.start + sound.samples.shape[1], begin + block.shape[1])
    for channel, gain in enumerate(sound.gains):
        heard = sound.samples[channel, first - sound.start : end - sound.start]
        block[channel, first - begin : end - begin] += heard * np.float32(gain)


def _panned(strength: float, side: float) -> tuple[float, float]:
    """Left and right, `side` from -1 to 1, equally loud everywhere."""
    angle = (1 + side) * np.pi / 4
    return strength * float(np.cos(angle)) * 2**0.5, strength * float(np.sin(angle)) * 2**0.5


def _pitch_hz(key: int) -> float:
    return float(440 * 2 ** ((key - 69) / 12))


def _at(time_s: float) -> int:
    return round(time_s * RATE_HZ)
