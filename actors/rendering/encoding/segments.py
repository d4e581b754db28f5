"""The parts of one film, so that a render that was killed goes on where its last whole group of pictures ends.

Parts lie in a folder named after all that decides the pictures: another order, style, encoder or renderer finds none
of them, and tidies them up. Each attempt writes parts of its own, and reads of others' only what is whole, so that two
attempts at once, of which one does not know that it was given up, do each other no harm. A folder that another
machine cannot see costs it the frames, and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import av
import cv2
import msgspec
import numpy as np
import PIL

from actors.rendering import styles
from actors.rendering.encoding.encoder import Codec
from actors.rendering.encoding.parts import FoundPart, Mark, Part, Prefix
from actors.rendering.order import FilmOrder
from actors.rendering.planning.plan import Plan

_PREFIX: Final = "film-"
_SOURCES: Final = (".py", ".cu", ".toml")
_BUILT_BY: Final = (av.__version__, cv2.__version__, np.__version__, PIL.__version__)


class Stretch(NamedTuple):
    """Frames that are there, from `first` up to, and not including, `end`: a part of them, up to one of its marks."""

    part: Part | FoundPart
    mark: Mark

    @property
    def first(self) -> int:
        """The first frame of the film in it."""
        return self.part.first

    @property
    def end(self) -> int:
        """The frame of the film after the last one in it."""
        return self.part.first + self.mark.frames

    def opened(self) -> Prefix:
        """Its bytes, to be read as an MP4."""
        return self.part.prefix(self.mark)


class Segments:
    """The pictures of one film as far as they are there; a context manager, for the files that it keeps open."""

    def __init__(self, folder: Path, key: str) -> None:
        """`folder` is the video's own; `key` what `key_of` says."""
        self._folder, self._name = folder, f"{_PREFIX}{key}"
        self._rooms = contextlib.ExitStack()
        self.stretches: list[Stretch] = []

    def __enter__(self) -> Self:
        """Find what is there, and remove what other films left in the folder."""
        for other in self._folder.glob(f"{_PREFIX}*"):
            if other.name != self._name:
                shutil.rmtree(other, ignore_errors=True)
        found = []
        for path in sorted((self._folder / self._name).glob("*.mp4")):
            with contextlib.suppress(OSError, ValueError):  # of damaged ones nothing can be used
                found.append(FoundPart(path))
                self._rooms.callback(found[-1].close)
        self.stretches = _farthest([part for part in found if part.marks])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its files; they stay."""
        self._rooms.close()

    @property
    def reached(self) -> int:
        """The first frame that is not there yet."""
        return self.stretches[-1].end if self.stretches else 0

    @property
    def flat_shots(self) -> set[int]:
        """What its parts know of shots in which nothing moves."""
        return {shot for stretch in self.stretches for shot in stretch.mark.flat_shots}

    def part(self) -> Part:
        """A new part, for the frames that are missing. Raises RetryableError when the disk has no room."""
        part = Part(self._folder / self._name, self.reached)
        self._rooms.callback(part.close)
        return part

    def add(self, part: Part) -> None:
        """It is finished: its frames are there now."""
        if part.marks:
            self.stretches.append(Stretch(part, part.marks[-1]))

    def drop(self) -> None:
        """Remove all there is of this film."""
        self.stretches = []
        shutil.rmtree(self._folder / self._name, ignore_errors=True)


def key_of(order: FilmOrder, plan: Plan, way: str, codec: Codec) -> str:
    """The name of all that decides the pictures of a film; `way` composes them, `codec` encodes them."""
    digest = hashlib.sha256(_renderer().encode())
    style = styles.named(order.style, order.aspect)
    digest.update(repr((msgspec.structs.replace(plan, music=""), style, order.seed, way, tuple(codec))).encode())
    for picture, path in zip(order.footage.pictures, order.pictures, strict=True):
        digest.update((picture.artifact.sha256 or _digest(Path(path))).encode())
    return digest.hexdigest()[:20]


def _farthest(parts: Sequence[FoundPart]) -> list[Stretch]:
    """The chain of stretches from frame 0 that reaches farthest; each begins at a mark of the one before."""
    best: list[Stretch] = []
    chains: dict[int, list[Stretch]] = {0: []}  # by the frame that they reach
    for part in sorted(parts, key=lambda part: part.first):
        if (before := chains.get(part.first)) is None:
            continue
        for mark in part.marks:
            chain = [*before, Stretch(part, mark)]
            chains.setdefault(chain[-1].end, chain)
        best = max(best, [*before, Stretch(part, part.marks[-1])], key=lambda chain: chain[-1].end if chain else 0)
    return best


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _renderer() -> str:
    """The renderer's version: its own files and the libraries that make pixels."""
    digest = hashlib.sha256(repr(_BUILT_BY).encode())
    for path in _sources(Path(styles.__file__).parent):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _sources(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix in _SOURCES)
