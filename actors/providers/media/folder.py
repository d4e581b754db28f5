"""Takes pictures and clips from the user's own folder: by the words in their file names, otherwise in order.

What it leaves is a fresh JPEG, or a copy of a clip's moving picture alone, turned as the camera meant it and without
whatever else the file carried (place, camera, owner, sound). What cannot be read, or is too small for a film, is passed
over with a line in the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import structlog
from PIL import Image

from actors.providers.media.pictures import plain_copy
from actors.providers.ports import Checkpoint, Clip, Found
from schema.documents import Scene, Script
from schema.errors import ConfigurationError, PermanentError

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_CLIPS = frozenset({".mp4", ".m4v", ".mov", ".webm", ".mkv"})
#: More files than this are not looked at.
_MOST_FILES = 5_000
#: A word must share this many letters with a search term ("glacier" and "glaciers").
_STEM_LETTERS = 4

_log = structlog.get_logger(__name__)


class _Candidate(msgspec.Struct, frozen=True):
    path: Path
    words: frozenset[str]


def find(
    script: Script,
    folder: Path,
    out: Path,
    *,
    width: int,
    height: int,
    seed: int,
    checkpoint: Checkpoint,
    scenes: Iterable[int] | None = None,
    copy: Callable[[Path, Path], Clip] | None = None,
) -> list[Found] | None:
    """Leave a picture or clip for each scene, or each of `scenes`, in the folder `out`; None when `folder` has none.

    The pictures keep their shape and are at most as large as a film of `width` x `height` can show. With fewer pictures
    than scenes they are used again, in turn; `seed` says with which one the turn begins when no name matches. `copy`
    copies a clip, and raises PermanentError where that cannot be done; without it there are no clips.

    Raises:
        ConfigurationError: `folder` is not a folder that can be read.
    """
    candidates = _candidates(folder, _SUFFIXES if copy is None else _SUFFIXES | _CLIPS)
    kept: dict[Path, Found] = {}
    found: list[Found] = []
    uses = dict.fromkeys((candidate.path for candidate in candidates), 0)
    turn = seed % len(candidates) if candidates else 0
    for number in range(len(script.scenes)) if scenes is None else scenes:
        while candidates:
            checkpoint()
            candidate = _best(candidates, script.scenes[number], uses, turn)
            target = out / f"own-{len(kept):03d}"
            one = kept.get(candidate.path) or _copied(candidate.path, target, width, height, copy)
            if one is not None:
                kept[candidate.path] = one
                uses[candidate.path] += 1
                found.append(msgspec.structs.replace(one, scene=number))
                break
            candidates.remove(candidate)
    return found or None


def _copied(
    path: Path, target: Path, width: int, height: int, copy: Callable[[Path, Path], Clip] | None
) -> Found | None:
    """A plain copy of the picture or clip; None, and the reason in the log, when it cannot be used."""
    if copy is None or path.suffix.lower() not in _CLIPS:
        copied = plain_copy(path, target.with_suffix(".jpg"), width, height)
        if copied is None:
            return None
        with Image.open(copied) as picture:
            return Found(scene=0, path=copied, width=picture.width, height=picture.height)
    try:
        clip = copy(path, target)
    except PermanentError as error:
        _log.warning("picture_passed_over", file=path.name, reason=str(error))
        return None
    return Found(scene=0, path=clip.path, width=clip.width, height=clip.height, kind="clip")


def _candidates(folder: Path, suffixes: frozenset[str]) -> list[_Candidate]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file())
    except OSError as error:
        message = f"cannot read the picture folder {folder}: {error.strerror or error}"
        raise ConfigurationError(
            message, hint="let picture_dir name a folder of pictures, or leave it empty"
        ) from error
    return [_Candidate(path, _words(path.stem)) for path in paths[:_MOST_FILES]]


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]{3,}", text.lower()))


def _best(candidates: list[_Candidate], scene: Scene, uses: dict[Path, int], turn: int) -> _Candidate:
    """Choose the least used picture whose name matches best; where none matches, the next in turn."""
    wanted = _words(" ".join(scene.search_terms))

    def rank(place: int) -> tuple[bool, int, int, int]:
        candidate = candidates[place]
        matches = sum(any(_alike(word, term) for term in wanted) for word in candidate.words)
        return matches == 0, uses[candidate.path], -matches, (place - turn) % len(candidates)

    return candidates[min(range(len(candidates)), key=rank)]


def _alike(word: str, term: str) -> bool:
    shorter, longer = sorted((word, term), key=len)
    return word == term or (len(shorter) >= _STEM_LETTERS and longer.startswith(shorter))
