"""The moods a bed of music can have, as data: how fast, in which scale, over which chords, with what sounds.

Chords and notes are degrees of the scale, 0 the tonic; music.py turns them into sound.
"""

from __future__ import annotations

from typing import Final

import msgspec

from schema.errors import PermanentError

_MAJOR: Final = (0, 2, 4, 5, 7, 9, 11)
_MINOR: Final = (0, 2, 3, 5, 7, 8, 10)
_DORIAN: Final = (0, 2, 3, 5, 7, 9, 10)


class Timbre(msgspec.Struct, frozen=True):
    """A struck note: the strength of each partial, how long the first rings, and how much sooner higher ones end."""

    partials: tuple[float, ...]
    ring_s: float
    #: A partial n times the pitch rings 1/n**damping as long.
    damping: float = 0.8
    #: How far partials are sharp, as a string's are: the n-th by a factor sqrt(1 + stretch * n**2).
    stretch: float = 0.0
    attack_s: float = 0.004


PIANO: Final = Timbre((1.0, 0.55, 0.30, 0.16, 0.09, 0.05), 1.3, damping=0.7, stretch=0.0004)
BELL: Final = Timbre((1.0, 0.10, 0.32, 0.05, 0.10), 1.7, damping=0.9, stretch=0.002)
MALLET: Final = Timbre((1.0, 0.04, 0.02, 0.22), 0.45, damping=1.2, attack_s=0.003)
HARP: Final = Timbre((1.0, 0.45, 0.22, 0.12, 0.06), 0.8, damping=0.9)
BASS: Final = Timbre((1.0, 0.50, 0.14, 0.05), 1.5, damping=0.6, attack_s=0.020)


class Mood(msgspec.Struct, frozen=True, kw_only=True):
    """One mood; levels are relative to each other."""

    tempo_bpm: float
    #: The tonic as a MIDI key, 60 is the middle C; pads lie around it, plucks above and the bass below.
    tonic: int
    scale: tuple[int, ...]
    #: Rows of four chords, a bar each; a film changes between them every two rows.
    progressions: tuple[tuple[int, int, int, int], ...]
    #: The notes of a chord as steps above its own degree.
    voicing: tuple[int, ...]
    pluck: Timbre
    #: Eight places a bar: which note of the chord is plucked, counted upwards through octaves, or a dot for none.
    #: The first of them opens the film.
    figures: tuple[str, ...]
    #: How much of the pad's higher partials there is, from 0 (a flute) to 1 (strings).
    warmth: float
    pad: float = 1.0
    plucks: float = 1.0
    bass: float = 1.0
    #: Eight places a bar, strengths from 0 to 1.
    kick: tuple[float, ...] = (0.0,) * 8
    shaker: tuple[float, ...] = (0.0,) * 8
    #: What a bed of this mood measures as it is made, LUFS; mixing goes from here.
    made_lufs: float


MOODS: Final[dict[str, Mood]] = {
    "calm": Mood(
        tempo_bpm=76,
        tonic=60,
        scale=_MAJOR,
        progressions=((0, 4, 5, 3), (3, 0, 5, 4)),
        voicing=(0, 2, 4, 8),
        pluck=PIANO,
        figures=("0.2.3.2.", "0..2.4..", "..3.1.2."),
        warmth=0.35,
        shaker=(0, 0, 0.25, 0, 0, 0, 0.25, 0),
        made_lufs=-20.3,
    ),
    "hopeful": Mood(
        tempo_bpm=92,
        tonic=62,
        scale=_MAJOR,
        progressions=((0, 3, 5, 4), (5, 3, 0, 4)),
        voicing=(0, 2, 4, 7),
        pluck=HARP,
        figures=("0124212.", "02324232", "0.23.42."),
        warmth=0.5,
        kick=(0.8, 0, 0, 0, 0.6, 0, 0, 0),
        shaker=(0.2, 0.4, 0.2, 0.4, 0.2, 0.4, 0.2, 0.4),
        made_lufs=-19.6,
    ),
    "tense": Mood(
        tempo_bpm=84,
        tonic=57,
        scale=_MINOR,
        progressions=((0, 5, 3, 4), (0, 0, 5, 4)),
        voicing=(0, 2, 4, 7),
        pluck=MALLET,
        figures=("00.00.01", "000.002."),
        warmth=0.6,
        plucks=0.8,
        bass=1.3,
        kick=(1.0, 0, 0, 0.5, 0, 0, 0, 0),
        made_lufs=-20.7,
    ),
    "playful": Mood(
        tempo_bpm=108,
        tonic=65,
        scale=_MAJOR,
        progressions=((0, 3, 1, 4), (0, 5, 3, 4)),
        voicing=(0, 2, 4),
        pluck=MALLET,
        figures=("0.2.13.2", "3.21.20.", "02.3.24."),
        warmth=0.25,
        pad=0.7,
        plucks=1.2,
        kick=(0.7, 0, 0, 0, 0.7, 0, 0, 0),
        shaker=(0, 0, 0.6, 0, 0, 0, 0.6, 0.3),
        made_lufs=-21.1,
    ),
    "night": Mood(
        tempo_bpm=68,
        tonic=57,
        scale=_DORIAN,
        progressions=((0, 3, 0, 6), (5, 2, 0, 3)),
        voicing=(0, 2, 4, 6),
        pluck=BELL,
        figures=("4...2...", "..3..5..", "2..4...3"),
        warmth=0.3,
        plucks=0.8,
        kick=(0.5, 0, 0, 0, 0, 0, 0, 0),
        made_lufs=-21.4,
    ),
}


def mood(name: str) -> Mood:
    """The mood of this name; raises PermanentError, naming those there are, when there is none."""
    if name not in MOODS:
        raise PermanentError(f"there is no mood of music {name!r}", hint=f"expected one of {', '.join(sorted(MOODS))}")
    return MOODS[name]
