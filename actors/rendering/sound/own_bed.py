"""A bed from a file of the user's: as long as the film, repeated with a crossfade where it is shorter.

The file is heard once for its loudness, as much of it as the film needs, and read again block by block. It is the
user's to have the right to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from actors.rendering.sound.loudness import Meter
from actors.rendering.sound.samples import BLOCK, RATE_HZ, Samples, read, reblocked
from schema.errors import PermanentError

#: Two rounds overlap by this much, or by a quarter of the file; it ends within this, seconds.
_CROSSFADE_S, _FADE_OUT_S = 2.0, 2.0
#: Too short to be repeated, seconds; too soft to be music, LUFS.
_SHORTEST_S, _SILENT_LUFS = 0.5, -60.0
#: What in a folder is taken for music.
SUFFIXES: Final = frozenset({".mp3", ".m4a", ".aac", ".flac", ".wav", ".ogg", ".opus"})


class OwnBed:
    """The bed of one film, from one file."""

    def __init__(self, path: str, duration_s: float) -> None:
        """Hear the file; raises PermanentError, naming it, when it cannot be read or there is nothing to hear."""
        self._path, self.count = path, round(duration_s * RATE_HZ)
        meter = Meter(peaks_above=np.inf)
        for block in read(path, "stereo", called="music"):
            meter.hear(block)
            if meter.count >= self.count:
                break
        self._length = meter.count
        self.lufs = meter.loudness().lufs
        name = Path(path).name
        if self._length < min(self.count, _SHORTEST_S * RATE_HZ):
            raise PermanentError(f"the music {name} lasts {self._length / RATE_HZ:.2f} s: expected {_SHORTEST_S:g} s")
        if not self.lufs >= _SILENT_LUFS:
            got = f"{self.lufs:.1f} LUFS, expected more than {_SILENT_LUFS:.0f}"
            raise PermanentError(f"the music {name} is silent: {got}")

    def blocks(self) -> Iterator[Samples]:
        """The bed from its beginning, (2, BLOCK) at a time, the last one shorter."""
        begin, fade = 0, min(round(_FADE_OUT_S * RATE_HZ), self.count)
        curve = (np.cos(np.linspace(0, np.pi / 2, fade)) ** 2).astype(np.float32)
        for whole in reblocked(self._rounds(), 2):
            block = whole[:, : self.count - begin].copy()
            first = max(0, self.count - fade - begin)
            if first < block.shape[1]:
                place = begin + first - (self.count - fade)
                block[:, first:] *= curve[place : place + block.shape[1] - first]
            yield block
            begin += BLOCK
            if begin >= self.count:
                return

    def _rounds(self) -> Iterator[Samples]:
        """The file again and again, each round growing out of the one before."""
        cross = min(round(_CROSSFADE_S * RATE_HZ), self._length // 4)
        rising = np.sin(np.linspace(0, np.pi / 2, cross, dtype=np.float32))
        tail: Samples = np.zeros((2, 0), np.float32)
        while True:
            place, last, held = 0, self._length - cross, list[Samples]()
            head = tail.shape[1]
            for block in read(self._path, "stereo", called="music"):
                heard, end = block.copy(), place + block.shape[1]
                if place < head:
                    count = min(end, head) - place
                    heard[:, :count] *= rising[place : place + count]
                    heard[:, :count] += tail[:, place : place + count] * rising[::-1][place : place + count]
                keep = min(max(0, last - place), heard.shape[1])
                yield heard[:, :keep]
                held.append(heard[:, keep : self._length - place])
                place = end
                if place >= self._length:
                    break
            tail = np.concatenate(held, axis=1)


def chosen(file: str, folder: str, seed: int) -> str:
    """The file of this film: the one that was named, or one of the folder's by its seed; empty for neither.

    Raises PermanentError, naming it, when it is not there or the folder has no music.
    """
    if file or not folder:
        return file
    try:
        found = sorted(str(path) for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise PermanentError(f"the folder of music {folder} cannot be read: {error.strerror}") from error
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise PermanentError(f"the folder of music {folder} has no music in it", hint=f"expected one of {kinds}")
    return found[seed % len(found)]
