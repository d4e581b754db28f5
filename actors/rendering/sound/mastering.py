"""The voice at the loudness a film must have: one static gain and a true-peak limiter, measured and trimmed.

Guarantees the loudness within a tenth of a LU where the limiter lets it, and a true peak that stays under its limit
after AAC. It does not even out loud and soft passages: FFmpeg's loudnorm, which does, was measured to miss its target
by half a LU. The measures are EBU R 128's.
"""

from __future__ import annotations

import math

import numpy as np

from actors.rendering.sound.samples import RATE_HZ, Filter, Samples, measure, processed
from schema.errors import PermanentError

#: AAC adds overshoot to what the limiter let pass, dB.
_AAC_ROOM_DB = 0.5
#: Close enough to stop trimming, LU; and how often to try.
_CLOSE_LU, _PASSES = 0.1, 4
#: A voice softer than this is no voice, LUFS.
_INAUDIBLE_LUFS = -60.0
#: The limiter works on four times the rate, where the peaks between samples can be seen.
_OVERSAMPLED_HZ = 4 * RATE_HZ


def mastered(voice: Samples, target_lufs: float, peak_dbtp: float) -> Samples:
    """One channel of voice at `target_lufs`, as heard from two speakers, and below `peak_dbtp`; as long as it was.

    Raises PermanentError when there is nothing to hear.
    """
    found = measure(voice)
    if found.lufs < _INAUDIBLE_LUFS:
        raise PermanentError(f"the voice is silent: {found.lufs:.1f} LUFS, expected more than {_INAUDIBLE_LUFS:.0f}")
    ceiling_db = peak_dbtp - _AAC_ROOM_DB
    gain_db, louder = target_lufs - found.lufs, voice
    for _ in range(_PASSES):
        louder = _fit(processed(voice, *_limiter(gain_db, ceiling_db)), voice.shape[1])
        found = measure(louder)
        too_high_db = max(0.0, found.peak_dbtp - peak_dbtp + _AAC_ROOM_DB / 2)
        if abs(found.lufs - target_lufs) <= _CLOSE_LU and not too_high_db:
            break
        gain_db += target_lufs - found.lufs
        ceiling_db -= too_high_db
    return louder


def placed(voice: Samples, start_s: float, duration_s: float) -> Samples:
    """The voice on two channels, in a film of `duration_s` with silence around it."""
    film = np.zeros((2, round(duration_s * RATE_HZ)), np.float32)
    start = round(start_s * RATE_HZ)
    end = min(start + voice.shape[1], film.shape[1])
    film[:, start:end] = voice[:, : end - start]
    return film


def _limiter(gain_db: float, ceiling_db: float) -> tuple[Filter, ...]:
    limit = math.pow(10, ceiling_db / 20)
    return (
        ("volume", f"{gain_db:.3f}dB"),
        ("aresample", str(_OVERSAMPLED_HZ)),
        # level=0: it would raise the result to full scale; latency=1: it would start late.
        ("alimiter", f"limit={limit:.5f}:attack=5:release=80:level=0:latency=1"),
        ("aresample", str(RATE_HZ)),
    )


def _fit(samples: Samples, count: int) -> Samples:
    """Exactly `count` samples: resampling there and back may lose or gain a few at the end."""
    short = max(0, count - samples.shape[1])
    return np.pad(samples[:, :count], ((0, 0), (0, short)))
