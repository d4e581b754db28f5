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
#: Samples handed over at a time.
_BLOCK = 8192
_LAYOUTS = {1: "mono", 2: "stereo"}

Filter = tuple[str, str]


class Loudness(NamedTuple):
    """Integrated loudness and the highest true peak; -inf where there is nothing to hear."""

    lufs: float
    peak_dbtp: float


def read_voice(path: str) -> Samples:
    """The voice, mixed down to one channel.

    Raises PermanentError, naming the file, when it cannot be read or holds no sound.
    """
    name = Path(path).name
    try:
        with av.open(path) as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
            frames = [frame for decoded in container.decode(audio=0) for frame in resampler.resample(decoded)]
            frames += resampler.resample(None)
    except (av.FFmpegError, IndexError) as error:
        hint = "expected a WAV or another sound file"
        raise PermanentError(f"the voice {name} cannot be read: {error}", hint=hint) from error
    voice = np.concatenate([frame.to_ndarray().reshape(1, -1) for frame in frames], axis=1) if frames else _NOTHING
    if not voice.size or not np.isfinite(voice).all():
        raise PermanentError(f"the voice {name} holds no sound: {voice.shape[1]} samples")
    return voice


_NOTHING: Samples = np.zeros((1, 0), np.float32)


def audio_frames(samples: Samples, block: int = _BLOCK) -> Iterator[av.AudioFrame]:
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
