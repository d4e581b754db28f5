"""A mix at the loudness a film must have, measured after AAC: one gain, a true-peak limiter, and a look at the result.

Guarantees the loudness within a tenth of a LU and the true peak below its limit, both of what a player will decode,
wherever a few passes can reach them; a mix that cannot be both keeps its peak and misses its loudness, and the
inspection says so. The packets that were measured are the ones that go into the film.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from actors.rendering.sound.loudness import CHUNK, STEP, Curve, Meter, integrated
from actors.rendering.sound.mixing import Mix, spread
from actors.rendering.sound.samples import Loudness, Samples
from actors.rendering.sound.track import Track, encoded

#: What AAC adds to a peak, about, by bitrate, dB: it decides how often one pass is enough, not what is right.
_AAC_ROOM_DB: Final = {"128k": 0.4, "192k": 0.3}
#: Close enough, LU; how far below the limit a peak must be, since meters differ, dB; how often to try.
_CLOSE_LU, _METERS_DB, _PASSES = 0.1, 0.03, 4
#: A peak that AAC made too high is taken down by this much more than it was too high.
_AGAIN: Final = 1.05
#: Peaks between samples are this much above the samples at most where it matters, dB.
_BETWEEN_DB: Final = 3.5
#: The limiter is down by the time of a peak, having begun this long before, and recovers at this speed.
_ATTACK_CHUNKS, _RELEASE_DB_S = 4, 80.0
_CHUNKS_S: Final = 48_000 / CHUNK


class Mastered(NamedTuple):
    """A track, what it measures when it is decoded, and how often it had to be encoded."""

    track: Track
    measured: Loudness
    passes: int


def mastered(mix: Mix, target_lufs: float, peak_dbtp: float, bitrate: str) -> Mastered:
    """The mix as a track at `target_lufs` and below `peak_dbtp`."""
    ceiling_db = peak_dbtp - _AAC_ROOM_DB[bitrate]
    peaks, energies = _listened(mix, ceiling_db)
    aim_lufs, passes = target_lufs, 0
    while True:
        passes += 1
        gain_db = _gain_db(peaks, energies, aim_lufs, ceiling_db)
        track = encoded(_limited(mix, gain_db, limiter(peaks, gain_db, ceiling_db)), bitrate)
        heard, heights = _heard(track, peak_dbtp)
        off_lu, limit_db = heard.lufs - target_lufs, peak_dbtp - _METERS_DB
        if passes == _PASSES or (abs(off_lu) <= _CLOSE_LU and heard.peak_dbtp <= limit_db):
            return Mastered(track, heard, passes)
        aim_lufs -= off_lu
        peaks = _raised(peaks, heights / np.float32(10 ** (limit_db / 20)))
        if passes > 1:  # what comes again elsewhere wants more room everywhere
            ceiling_db -= max(0.0, heard.peak_dbtp - limit_db)


def limiter(peaks: Curve, gain_db: float, ceiling_db: float) -> Curve:
    """The gain, linear, at the beginning of each chunk of 64 samples that keeps all of these peaks below the ceiling.

    It looks ahead: it goes down before a peak and is there in time, and comes back at a steady speed.
    """
    over_db = 20 * np.log10(np.maximum(peaks, 1e-6)) + (gain_db - ceiling_db)
    need = np.maximum(over_db, 0)
    # A gain goes straight between the beginnings of two chunks: both must do.
    need = np.maximum(np.append(need, 0), np.insert(need, 0, 0))
    soon = np.lib.stride_tricks.sliding_window_view(np.pad(need, (0, _ATTACK_CHUNKS)), _ATTACK_CHUNKS + 1).max(axis=1)
    # Recovering at a steady speed is the highest of all slopes that begin at earlier peaks.
    slope = np.arange(soon.size) * (_RELEASE_DB_S / _CHUNKS_S)
    held = np.maximum.accumulate(soon + slope) - slope
    kernel = np.full(_ATTACK_CHUNKS + 1, 1 / (_ATTACK_CHUNKS + 1))
    smooth = np.convolve(np.pad(held, (_ATTACK_CHUNKS, 0), mode="edge"), kernel, "valid")
    return np.power(10, -smooth / 20).astype(np.float32)


def _listened(mix: Mix, ceiling_db: float) -> tuple[Curve, Curve]:
    """The highest level of each chunk, exact where the limiter may have to act, and the energy of each step."""
    meter = Meter(peaks_above=float(10 ** ((ceiling_db - _BETWEEN_DB) / 20)))
    for block in mix.blocks():
        meter.hear(block)
    return meter.peaks(), meter.energies()


def _gain_db(peaks: Curve, energies: Curve, aim_lufs: float, ceiling_db: float) -> float:
    """The gain with which the limited mix will measure `aim_lufs`, by what is known of it without making it."""
    gain_db, per_step = 0.0, STEP // CHUNK
    for _ in range(12):
        gains = limiter(peaks, gain_db, ceiling_db)[:-1] ** 2
        means = np.pad(gains, (0, -gains.size % per_step), mode="edge").reshape(-1, per_step).mean(axis=1)
        limited = energies[: means.size] * means[: energies.size]
        off_lu = integrated(limited) + gain_db - aim_lufs
        if not np.isfinite(off_lu) or abs(off_lu) < 0.01:  # noqa: PLR2004 - far closer than the estimate is
            break
        gain_db = min(gain_db - off_lu, 20.0)
    return gain_db


def _limited(mix: Mix, gain_db: float, gains: Curve) -> Iterator[Samples]:
    chunk, gain = 0, np.float32(10 ** (gain_db / 20))
    for block in mix.blocks():
        heard = block * (spread(gains[chunk:], block.shape[1], CHUNK) * gain)
        chunk += block.shape[1] // CHUNK
        yield np.broadcast_to(heard, (2, heard.shape[1]))


def _raised(peaks: Curve, over: Curve) -> Curve:
    """The peaks, as if they were as much higher as AAC made them: only where it made them too high."""
    worst = np.lib.stride_tricks.sliding_window_view(np.pad(over, 2), 5).max(axis=1)
    factor = np.where(worst > 1, worst * _AGAIN, 1).astype(np.float32)
    return peaks * np.pad(factor, (0, max(0, peaks.size - factor.size)), constant_values=1)[: peaks.size]


def _heard(track: Track, peak_dbtp: float) -> tuple[Loudness, Curve]:
    """What a player's decoder makes of the track, and how high each chunk of it comes."""
    meter = Meter(peaks_above=float(10 ** ((peak_dbtp - _BETWEEN_DB) / 20)))
    for block in track.blocks():
        meter.hear(block)
    return meter.loudness(), meter.peaks()
