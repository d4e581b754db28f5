"""How it was measured: what a reader needs to believe the tables, and to repeat them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import av

from tests.bench.bus.environments import versions
from tests.bench.render.contestants import MOVIEPY


def note(options: object) -> Iterator[str]:
    """Lines."""
    cores = len(os.sched_getaffinity(0))
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    machine = f"{_processor()}, {cores} cores, load {load}, {platform.system()} {platform.release()}"
    yield f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}"
    here = f"Python {platform.python_version()}, PyAV {av.__version__} (FFmpeg {av.ffmpeg_version_info})"
    yield f"{here}; {_ffmpeg()}; {versions(MOVIEPY)}"
    yield str(options)
    yield (
        "All encode with libx264 veryfast, crf 23, 30 frames a second, a key frame every 2 s, AAC 192k; ours and bare "
        "by PyAV's x264, ffmpeg and MoviePy by their own. CPU is user and system time of all processes of a "
        "contestant, from start to finished file; of bare, of the encode alone, without sound."
    )
    yield (
        "The others follow the plan of ours: its shots, moves, crossfades, words. ffmpeg's zoompan moves by whole "
        "pixels; MoviePy neither pans, nor lights words, nor ducks. Neither masters its sound. Ours without mastering "
        "is its CPU less that of mastering, done once more in a process of its own, on the same voice."
    )
    yield (
        "Medians of interleaved rounds; MoviePy makes one film of stills. Parts are counted in a run of their own by "
        "the clocks of Python's threads; AAC and muxing apart, on the finished film; the hand-over is what is left."
    )


def _processor() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _ffmpeg() -> str:
    program = shutil.which("ffmpeg")
    if program is None:
        return "no ffmpeg on PATH"
    said = subprocess.run((program, "-version"), capture_output=True, text=True, timeout=30, check=False).stdout
    return " ".join(said.split()[:3])
