"""An eye and an ear for a film: frames go in as they are decoded, and what struck them comes out at the end.

Pictures are looked at a sixth of their size, where black and frozen stretches show as well and cost little. Both keep
nothing of a film but its sound's envelope.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import av
import numpy as np
from numpy.typing import NDArray

from actors.rendering.sound.samples import Loudness, loudness, pulled
from schema.settings.video import Video

#: Envelopes have one value a millisecond.
ENVELOPE_HZ = 1000
_BLACK_LUMA, _SILENCE_DB, _FREEZE_DB = 0.10, -50, -60
#: Silences shorter than this are breath, seconds.
_SILENCE_MIN_S = 0.3

Span = tuple[float, float]
Envelope = NDArray[np.float32]


def envelope(samples: NDArray[np.float32], rate_hz: int) -> Envelope:
    """The mean level of each millisecond."""
    step = rate_hz // ENVELOPE_HZ
    whole = samples.size // step * step
    levels: Envelope = np.abs(samples[:whole]).reshape(-1, step).mean(axis=1, dtype=np.float32)
    return levels


class Eye:
    """Sees how many frames there are, whether they follow each other, and what is black or frozen."""

    def __init__(self, stream: av.VideoStream, video: Video, *, looks: bool = True) -> None:
        """One that does not look only counts."""
        self._looks = looks
        # A filter does not keep its graph alive, and using one without it ends the process.
        self._graph = graph = av.filter.Graph()
        self._source = graph.add_buffer(template=stream)
        self._sink = graph.add("buffersink")
        scale = graph.add("scale", "320:-2:flags=fast_bilinear")
        black = graph.add("blackdetect", f"d={video.black_max_s}:pix_th={_BLACK_LUMA}")
        freeze = graph.add("freezedetect", f"n={_FREEZE_DB}dB:d={video.freeze_max_s}")
        _configure(graph, (self._source, scale, black, freeze, self._sink))
        self._step_s = float(1 / stream.average_rate) if stream.average_rate else 0.0
        self._last_s: float | None = None
        self._black = _Spans("lavfi.black_start", "lavfi.black_end")
        self._frozen = _Spans("lavfi.freezedetect.freeze_start", "lavfi.freezedetect.freeze_end")
        self.frames = 0
        #: Frames that do not follow the one before at the distance of one frame.
        self.gaps = 0

    def see(self, frame: av.VideoFrame) -> None:
        """Take the next frame."""
        self.frames += 1
        now_s = float(frame.pts * frame.time_base) if frame.pts is not None and frame.time_base else 0.0
        if self._last_s is not None and abs(now_s - self._last_s - self._step_s) > self._step_s / 4:
            self.gaps += 1
        self._last_s = now_s
        if self._looks:
            self._source.push(frame)
            self._pull()

    def close(self) -> tuple[list[Span], list[Span]]:
        """Black stretches and frozen ones."""
        self._source.push(None)
        self._pull()
        end_s = self._last_s or 0.0
        return self._black.closed(end_s), self._frozen.closed(end_s)

    def _pull(self) -> None:
        for frame in pulled(self._sink):
            self._black.note(frame.metadata)
            self._frozen.note(frame.metadata)


class Ear:
    """Hears how loud it is and when it is silent, and keeps the envelope."""

    def __init__(self, stream: av.AudioStream) -> None:
        self._rate_hz = stream.rate
        self._graph = graph = av.filter.Graph()
        self._source = graph.add_abuffer(template=stream)
        self._sink = graph.add("abuffersink")
        # ebur128 first: it gathers samples into frames of its own, and what was noted on the old ones is lost.
        level = graph.add("ebur128", "peak=true:metadata=1")
        silence = graph.add("silencedetect", f"n={_SILENCE_DB}dB:d={_SILENCE_MIN_S}")
        mono = graph.add("aformat", f"sample_fmts=flt:channel_layouts=mono:sample_rates={stream.rate}")
        _configure(graph, (self._source, level, silence, mono, self._sink))
        self._silent = _Spans("lavfi.silence_start", "lavfi.silence_end")
        self._reading: dict[str, str] = {}
        # Of blocks of whole milliseconds, not the samples: a film may be long.
        self._heard: list[Envelope] = []
        self._rest: NDArray[np.float32] = np.zeros(0, np.float32)
        self._count = 0

    def hear(self, frame: av.AudioFrame) -> None:
        """Take the next frame."""
        self._source.push(frame)
        self._pull()

    def close(self) -> tuple[Loudness, list[Span], Envelope]:
        """Loudness, silences, envelope."""
        self._source.push(None)
        self._pull()
        heard = np.concatenate([*self._heard, np.zeros(0, np.float32)])
        return loudness(self._reading), self._silent.closed(self._count / self._rate_hz), heard

    def _pull(self) -> None:
        for frame in pulled(self._sink):
            if isinstance(frame, av.AudioFrame):
                self._silent.note(frame.metadata)
                if "lavfi.r128.I" in frame.metadata:
                    self._reading = frame.metadata
                self._keep(frame.to_ndarray().reshape(-1).astype(np.float32, copy=False))

    def _keep(self, samples: NDArray[np.float32]) -> None:
        self._count += samples.size
        samples = np.concatenate([self._rest, samples])
        whole = samples.size - samples.size % (self._rate_hz // ENVELOPE_HZ)
        self._heard.append(envelope(samples[:whole], self._rate_hz))
        self._rest = samples[whole:]


class _Spans:
    """Stretches that a filter reports by the metadata of a frame at their start and at their end."""

    def __init__(self, start_key: str, end_key: str) -> None:
        self._start_key, self._end_key = start_key, end_key
        self._open_s: float | None = None
        self._spans: list[Span] = []

    def note(self, metadata: dict[str, str]) -> None:
        if start := metadata.get(self._start_key):
            self._open_s = float(start)
        if (end := metadata.get(self._end_key)) and self._open_s is not None:
            self._spans.append((self._open_s, float(end)))
            self._open_s = None

    def closed(self, end_s: float) -> list[Span]:
        """All of them; one that has not ended lasts to the end of the film."""
        return [*self._spans, *([(self._open_s, end_s)] if self._open_s is not None else [])]


def _configure(graph: av.filter.Graph, filters: Sequence[av.filter.FilterContext]) -> None:
    for before, after in itertools.pairwise(filters):
        before.link_to(after)
    graph.configure()
