"""How loud films are after AAC: twenty voices of other texts and speeds, over other beds, at both bitrates.

Every track is measured as a stranger would: by FFmpeg's own program where it is installed, which decodes the file
itself, and by FFmpeg's filter otherwise. The voice is the local one; speeds are made by stretching its time.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np

from actors.rendering.sound.mastering import mastered
from actors.rendering.sound.mixing import Mix
from actors.rendering.sound.moods import MOODS
from actors.rendering.sound.music import Bed
from actors.rendering.sound.samples import RATE_HZ, Loudness, Samples, measure, processed, read_voice
from actors.rendering.sound.samples import loudness as loudness_of
from actors.rendering.sound.track import BITRATES, Track
from actors.rendering.sound.voice import listen
from schema.documents import Scene, Script
from tests.bench.table import Goal, Row, row

_TARGET_LUFS, _PEAK_DBTP, _MUSIC_LU = -14.0, -1.0, 20.0
_LEAD_IN_S, _LEAD_OUT_S, _FILM_S = 0.6, 1.2, 24.0
_SPEEDS: Final = (0.8, 1.0, 1.15, 1.35)
_BEDS: Final = (*sorted(MOODS), "")
_TEXTS: Final = (
    (
        "The octopus has three hearts, and two of them rest while it swims. Its blood is blue, because copper "
        "and not iron carries the oxygen. In cold water that works better."
    ),
    (
        "Why do bridges hum in the wind? Engineers found out in nineteen forty, when one of them tore itself "
        "apart! Since then, every long bridge is tested in a tunnel first."
    ),
    (
        "Bread is flour, water, salt, and time. The dough rises because yeast eats sugar and breathes out "
        "gas. Then, in the oven, the crust sets, and the kitchen smells like a holiday."
    ),
    (
        "No. Yes. Perhaps. The answer depends on where you stand, how long you wait, and whom you ask. Light "
        "from the nearest star needs four years to reach us. Sound would never arrive."
    ),
    (
        "In seventeen eighty three, two brothers lit a fire under a bag of paper and silk. It rose above the "
        "market place, ten minutes long. Soon, a sheep, a duck and a rooster flew over Versailles."
    ),
)


class Heard(NamedTuple):
    """One track: what it measures, how far the music was below the speech, and how often it was encoded."""

    name: str
    measured: Loudness
    below_lu: float
    passes: int
    cpu_s_per_24: float


def loudness() -> list[Row]:
    """The worst of twenty tracks, with which one it was."""
    with TemporaryDirectory(prefix="ytempire-loudness-") as folder:
        heard = list(_tracks(Path(folder)))
    off = max(heard, key=lambda one: abs(one.measured.lufs - _TARGET_LUFS))
    peak = max(heard, key=lambda one: one.measured.peak_dbtp)
    near = min((one for one in heard if np.isfinite(one.below_lu)), key=lambda one: one.below_lu)
    by = "measured by the ffmpeg program" if shutil.which("ffmpeg") else "measured by FFmpeg's filter: no ffmpeg here"
    worst_lu = abs(off.measured.lufs - _TARGET_LUFS)
    spent = sorted(one.cpu_s_per_24 for one in heard)
    passes = sum(one.passes for one in heard)
    return [
        row(f"loudness off {_TARGET_LUFS:g} LUFS, worst of {len(heard)}", worst_lu, "LU", Goal("<=", 0.2), note=by),
        row("true peak after AAC, worst", peak.measured.peak_dbtp, "dBTP", Goal("<=", _PEAK_DBTP), note=peak.name),
        row("speech above the music, worst", near.below_lu, "LU", Goal(">=", 15), note=near.name),
        row("CPU for the sound of 24 s, median", spent[len(spent) // 2], "s", note=f"{passes} encodes of {len(heard)}"),
    ]


def _tracks(folder: Path) -> Iterator[Heard]:
    voices = list(_voices(folder))
    beds, bitrates = itertools.cycle(_BEDS), itertools.cycle(BITRATES)
    for seed, ((text, voice), speed) in enumerate(itertools.product(enumerate(voices), _SPEEDS)):
        bed, bitrate = next(beds), next(bitrates)
        if seed % len(_BEDS) == 0:  # or the same bed would always have the same bitrate
            bitrate = next(bitrates)
        said = processed(voice, ("atempo", str(speed)))
        # Nobody promises how loud a voice comes: soft, loud, and with a soft passage in it.
        said = said * np.float32((0.1, 1.0, 0.5, 0.3)[seed % 4])
        if seed % 2:
            said[:, said.shape[1] // 2 :] *= np.float32(0.35)
        name = f"text {text + 1}, speed {speed:g}, {bed or 'no music'}, {bitrate}"
        yield _heard(name, _written(folder / "voice.wav", said), bed, bitrate, seed)


def _voices(folder: Path) -> Iterator[Samples]:
    from actors.providers.audio.hibari import Voice  # noqa: PLC0415 - a second to load, and wanted here only

    speaker = Voice(None)
    for number, text in enumerate(_TEXTS):
        path = folder / f"{number}.wav"
        speaker.speak(Script("", (Scene(text, ""),)), path, checkpoint=lambda: None)
        yield read_voice(str(path))


def _heard(name: str, path: str, bed: str, bitrate: str, seed: int) -> Heard:
    began_s = time.process_time()
    voice = listen(path)
    duration_s = _LEAD_IN_S + voice.duration_s + _LEAD_OUT_S
    music = Bed(bed, seed, duration_s, duration_s - _LEAD_OUT_S) if bed else None
    both, alone = (
        Mix(
            voice,
            playing,
            start_s=_LEAD_IN_S,
            duration_s=duration_s,
            target_lufs=_TARGET_LUFS,
            music_lu=_MUSIC_LU,
        )
        for playing in (music, None)
    )
    made = mastered(both, _TARGET_LUFS, _PEAK_DBTP, bitrate)
    spent_s = time.process_time() - began_s
    below_lu = _below_lu(both, alone, voice.phrases) if music else np.inf
    return Heard(name, _measured(made.track), below_lu, made.passes, spent_s * _FILM_S / duration_s)


def _below_lu(both: Mix, alone: Mix, phrases: tuple[tuple[float, float], ...]) -> float:
    """How far the music lies below the speech in the phrase where it comes nearest."""
    mixed, spoken = (np.concatenate(list(mix.blocks()), axis=1) for mix in (both, alone))
    music, nearest = mixed - spoken, np.inf
    for begin_s, end_s in phrases:
        at = slice(round((_LEAD_IN_S + begin_s) * RATE_HZ), round((_LEAD_IN_S + end_s) * RATE_HZ))
        if end_s - begin_s >= 0.5:  # shorter ones have no loudness
            nearest = min(nearest, measure(spoken[:, at]).lufs - measure(music[:, at]).lufs)
    return nearest


def _measured(track: Track) -> Loudness:
    program = shutil.which("ffmpeg")
    if program is None:
        return measure(np.concatenate(list(track.blocks()), axis=1))
    with TemporaryDirectory(prefix="ytempire-loudness-") as folder:
        path = Path(folder) / "track.m4a"
        path.write_bytes(track.data)
        hears = "ebur128=peak=true:metadata=1,ametadata=mode=print:file=-"
        arguments = [program, "-v", "error", "-i", str(path), "-af", hears, "-f", "null", "-"]
        said = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    # Every tenth of a second it says what it has heard so far: the last word counts.
    return loudness_of(dict(line.split("=", 1) for line in said.splitlines() if "=" in line))


def _written(path: Path, voice: Samples) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(voice[0], -1, 1) * 32767).astype("<i2").tobytes())
    return str(path)
