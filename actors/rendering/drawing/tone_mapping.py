"""High dynamic range clips (PQ or HLG, BT.2020) brought to the film's range and colours by a table of our own.

The table follows ITU-R BT.2390: what is as bright as paper or darker stays as it was, highlights up to 1,000 nits are
rolled off into what is left above, hues are kept. It is computed once a process and applied by FFmpeg's `lut3d`, after
the frame was scaled, so a frame costs some tens of milliseconds: such clips are rare. It knows nothing of what a
particular clip's maker saw: metadata of a scene, Dolby Vision's included, is ignored.
"""

from __future__ import annotations

import itertools
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Final

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

#: `AVColorTransferCharacteristic`.
PQ: Final = 16
HLG: Final = 18
#: White paper, and the brightest highlight that is told from white, nits (ITU-R BT.2408).
_WHITE, _PEAK = 203.0, 1000.0
_NODES: Final = 33
#: Gamma of the system, of HLG on a screen of 1,000 nits (BT.2100), and of the film's screen (BT.1886).
_SYSTEM_GAMMA, _SCREEN_GAMMA = 1.2, 2.4
_LUMA_2020: Final = np.array([0.2627, 0.6780, 0.0593])
#: Linear BT.2020 to linear BT.709 (ITU-R BT.2087).
_TO_709: Final = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
_LUMA_709: Final = np.array([0.2126, 0.7152, 0.0722])

Floats = NDArray[np.float64]


def is_hdr(frame: av.VideoFrame) -> bool:
    """Whether it is of a range that the film has not."""
    return frame.color_trc in (PQ, HLG)


class ToneMapping:
    """For the frames of one clip, all alike; what comes out has this size, YUV 4:2:0 of 8 bits, BT.709, limited."""

    def __init__(self, frame: av.VideoFrame, size: tuple[int, int]) -> None:
        # A filter does not keep its graph alive, and using one without it ends the process.
        self._graph = graph = av.filter.Graph()
        self._source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, 1000),  # nobody looks at it
        )
        in_range = "full" if frame.color_range == 2 else "limited"  # noqa: PLR2004 - AVCOL_RANGE_JPEG
        wide, tall = size
        read = f"w={wide}:h={tall}:in_color_matrix=bt2020:in_range={in_range}:out_range=full"
        self._sink = graph.add("buffersink")
        filters = (
            self._source,
            # what the frame says of its colours is ours to read: left in, FFmpeg may convert them as well
            graph.add("setparams", "color_primaries=bt709:color_trc=bt709"),
            graph.add("scale", f"{read}:flags=bilinear+accurate_rnd+full_chroma_int"),
            graph.add("format", "gbrp10le"),
            graph.add("lut3d", f"file={_table(frame.color_trc)}:interp=tetrahedral"),
            graph.add("scale", "out_color_matrix=bt709:in_range=full:out_range=limited"),
            graph.add("format", "yuv420p"),
            self._sink,
        )
        for before, after in itertools.pairwise(filters):
            before.link_to(after)
        graph.configure()

    def mapped(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame in the film's range."""
        self._source.push(frame)
        made = self._sink.pull()
        assert isinstance(made, av.VideoFrame)  # noqa: S101 - what a graph of pictures gives
        return made


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Where the tables lie as long as the process lives."""
    return tempfile.TemporaryDirectory(prefix="tables-")


@cache
def _table(transfer: int) -> Path:
    """The table for this transfer as a file, which is the only form that the filter takes."""
    path = Path(_folder().name) / f"{transfer}.cube"
    rows = "\n".join(f"{red:.6f} {green:.6f} {blue:.6f}" for red, green, blue in table(transfer))
    path.write_text(f"LUT_3D_SIZE {_NODES}\n{rows}\n")
    return path


def table(transfer: int) -> Floats:
    """What each combination of 33 steps of red (the quickest), green and blue becomes: (33 ** 3, 3), 0 to 1."""
    steps = np.linspace(0.0, 1.0, _NODES)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    coded = np.stack([red, green, blue], axis=-1).reshape(-1, 3)
    return shown(pq_nits(coded) if transfer == PQ else hlg_nits(coded))


def shown(nits: Floats) -> Floats:
    """Light of BT.2020 in nits, as the film codes it, 0 to 1."""
    brightest = nits.max(axis=-1, keepdims=True)
    rolled = nits * (_rolled_off(brightest) / np.maximum(brightest, 1e-6))
    light = rolled @ _TO_709.T / _WHITE
    # A colour that the film has not loses saturation until it has it, and keeps its brightness.
    grey = np.clip(light @ _LUMA_709, 0.0, 1.0)[..., None]
    below = np.where(light < 0, grey / np.maximum(grey - light, 1e-9), 1.0)
    above = np.where(light > 1, (1 - grey) / np.maximum(light - grey, 1e-9), 1.0)
    share = np.minimum(below, above).min(axis=-1, keepdims=True)
    return np.asarray(np.clip(grey + (light - grey) * share, 0.0, 1.0) ** (1 / _SCREEN_GAMMA))


def _rolled_off(nits: Floats) -> Floats:
    """Brightness as it is up to the knee, and from there bent so that the peak becomes white (BT.2390, 5.4.1)."""
    scale = float(pq_code(np.array(_PEAK)))
    coded = np.minimum(pq_code(nits) / scale, 1.0)
    most = float(pq_code(np.array(_WHITE))) / scale
    knee = 1.5 * most - 0.5
    part = (coded - knee) / (1 - knee)
    bent = (
        (2 * part**3 - 3 * part**2 + 1) * knee
        + (part**3 - 2 * part**2 + part) * (1 - knee)
        + (-2 * part**3 + 3 * part**2) * most
    )
    return pq_nits(np.where(coded < knee, coded, bent) * scale)


def pq_nits(coded: Floats) -> Floats:
    """What a code of PQ means (SMPTE ST 2084)."""
    root = np.clip(coded, 0, None) ** (32 / 2523)
    return np.asarray(10_000 * (np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)) ** (16384 / 2610))


def pq_code(nits: Floats) -> Floats:
    """How PQ codes it."""
    root = (np.clip(nits, 0, None) / 10_000) ** (2610 / 16384)
    return np.asarray(((3424 / 4096 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 32))


def hlg_nits(coded: Floats) -> Floats:
    """What a code of HLG means on a screen of 1,000 nits (BT.2100)."""
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - 0.55991073) / 0.17883277) + 0.28466892) / 12)  # noqa: PLR2004 - where the curve bends
    bright = (scene @ _LUMA_2020)[..., None]
    return np.asarray(_PEAK * np.maximum(bright, 1e-9) ** (_SYSTEM_GAMMA - 1) * scene)
