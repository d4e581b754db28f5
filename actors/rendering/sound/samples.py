"""Sound as arrays: read from any file, run through FFmpeg's filters, measured by EBU R 128.

Samples are float32, (channels, count), at 48 kHz.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from schema.errors import PermanentError

Samples = NDArray[np.float32]

RATE_HZ = 48_000
#: Samples handled at a time: a whole number of AAC frames, of the steps of gain curves, and of loudness readings.
BLOCK = 61_440
#: Samples a second that sound has. Of slower sound a second would become minutes; for faster one a filter of gigabytes
#: would be made before the first sample.
SLOWEST_HZ, FASTEST_HZ = 4_000, 768_000
#: Longer sound than this is not heard to its end, seconds; a film has ten minutes.
_MOST_S = 3_600
_LAYOUTS = {1: "mono", 2: "stereo"}
_CHANNELS = {layout: channels for channels, layout in _LAYOUTS.items()}

Filter = tuple[str, str]


class Loudness(NamedTuple):
    """Integrated loudness and the highest true peak; -inf where there is nothing to hear."""

    lufs: float
    peak_dbtp: float


def read_voice(path: str) -> Samples:
    """The voice, mixed down to one channel, all at once.

    Raises PermanentError, naming the file, when it cannot be read or holds no sound.
    """
    blocks = list(read(path, "mono", called="voice"))
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((1, 0), np.float32)


def read(path: str, layout: str, *, called: str) -> Iterator[Samples]:
    """The sound of a file as `layout`, mono or stereo, BLOCK samples at a time, the last block shorter.

    Raises PermanentError, naming the file and what it is `called`, when it cannot be read or holds no sound.
    """
    where = f"the {called} {Path(path).name}"
    count = 0
    try:
        for block in reblocked(_decoded(path, layout), _CHANNELS[layout]):
            if not np.isfinite(block).all():
                raise PermanentError(f"{where} holds no sound: numbers that are none after {count / RATE_HZ:.1f} s")
            count += block.shape[1]
            if count > _MOST_S * RATE_HZ:
                raise PermanentError(f"{where} is longer than {_MOST_S} s: expected less")
            yield block
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise PermanentError(f"{where} cannot be read: {error}", hint="expected a WAV or another sound file") from error
    if not count:
        raise PermanentError(f"{where} holds no sound: 0 samples")


def _decoded(path: str, layout: str) -> Iterator[Samples]:
    with av.open(path, metadata_errors="replace") as container:
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=RATE_HZ)
        for decoded in container.decode(audio=0):
            if not SLOWEST_HZ <= decoded.sample_rate <= FASTEST_HZ:
                expected = f"expected {SLOWEST_HZ} to {FASTEST_HZ}"
                raise ValueError(f"{decoded.sample_rate} samples a second, {expected}")
            for frame in resampler.resample(decoded):
                yield frame.to_ndarray().astype(np.float32, copy=False)
        for frame in resampler.resample(None):
            yield frame.to_ndarray().astype(np.float32, copy=False)


def reblocked(parts: Iterable[Samples], channels: int) -> Iterator[Samples]:
    """The same samples in blocks of BLOCK, the last one shorter."""
    waiting: list[Samples] = [np.zeros((channels, 0), np.float32)]
    count = 0
    for part in parts:
        waiting.append(part)
        count += part.shape[1]
        if count >= BLOCK:
            joined = np.concatenate(waiting, axis=1)
            whole = count // BLOCK * BLOCK
            for start in range(0, whole, BLOCK):
                yield joined[:, start : start + BLOCK]
            waiting, count = [joined[:, whole:]], count - whole
    if count:
        yield np.concatenate(waiting, axis=1)


def audio_frames(samples: Samples, block: int = BLOCK) -> Iterator[av.AudioFrame]:
    """The samples as FFmpeg takes them, `block` at a time, stamped from 0."""
    for start in range(0, samples.shape[1], block):
        part = np.ascontiguousarray(samples[:, start : start + block])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=_LAYOUTS[len(samples)])
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
        yield frame


def filtered(samples: Samples, *filters: Filter) -> Iterator[av.AudioFrame]:
    """What comes out of a chain of filters, brought back to 48 kHz, frame by frame with its metadata."""
    graph = av.filter.Graph()
    layout = _LAYOUTS[len(samples)]
    source = graph.add_abuffer(format="fltp", sample_rate=RATE_HZ, layout=layout, time_base=Fraction(1, RATE_HZ))
    end = ("aformat", f"sample_fmts=fltp:sample_rates={RATE_HZ}:channel_layouts={layout}")
    last = source
    for name, options in (*filters, end):
        following = graph.add(name, options)
        last.link_to(following)
        last = following
    sink = graph.add("abuffersink")
    last.link_to(sink)
    graph.configure()
    frames: Iterable[av.AudioFrame | None] = (*audio_frames(samples), None)
    for frame in frames:
        source.push(frame)
        yield from (heard for heard in pulled(sink) if isinstance(heard, av.AudioFrame))


def pulled(sink: av.filter.FilterContext) -> Iterator[av.frame.Frame]:
    """All that a filter graph has ready."""
    while True:
        try:
            yield sink.pull()
        except (av.BlockingIOError, av.EOFError):
            return


def processed(samples: Samples, *filters: Filter) -> Samples:
    """The samples after a chain of filters."""
    return np.concatenate([frame.to_ndarray() for frame in filtered(samples, *filters)], axis=1)


def measure(samples: Samples) -> Loudness:
    """Loudness of one channel as it will be heard from two, or of two channels."""
    options = f"peak=true:metadata=1:dualmono={int(len(samples) == 1)}"
    reading: dict[str, str] = {}
    for frame in filtered(samples, ("ebur128", options)):
        # The filter speaks ten times a second; a last piece that is shorter says nothing.
        reading = frame.metadata or reading
    return loudness(reading)


def loudness(reading: dict[str, str]) -> Loudness:
    """The last metadata of an `ebur128` filter, in dB."""
    peaks = [float(value) for key, value in reading.items() if key.startswith("lavfi.r128.true_peaks_ch")]
    peak = max(peaks, default=0.0)
    return Loudness(float(reading.get("lavfi.r128.I", "-inf")), 20 * float(np.log10(peak)) if peak > 0 else -np.inf)
