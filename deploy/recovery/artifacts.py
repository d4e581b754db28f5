"""Artifacts in backups: copied once, kept by their checksum beside all backups, and brought back from there.

A film that is in thirty backups is there once. What the store has not, or has changed, is told and copied by nobody:
integrity sees to it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from deploy.recovery import backups
from schema.artifacts import Artifacts
from schema.documents import ArtifactRef
from schema.errors import ArtifactError

_CHUNK_BYTES: Final = 1 << 20


class Kept(msgspec.Struct, frozen=True):
    """What a backup has of the artifacts, what it has not, and how many bytes were copied for it."""

    files: tuple[ArtifactRef, ...]
    missing: tuple[str, ...]
    copied_bytes: int


def keep(store: Artifacts, root: Path, refs: Iterable[ArtifactRef]) -> Kept:
    """Copy what backups do not have yet; raises OSError where their disk does not take it."""
    files, missing, copied = [], [], 0
    for ref in {ref.path: ref for ref in refs}.values():
        target = backups.stored(root, ref)
        if not target.exists():
            if not _copied(store, ref, target):
                missing.append(ref.path)
                continue
            copied += ref.size_bytes
        files.append(ref)
    return Kept(tuple(files), tuple(missing), copied)


def bring_back(store: Artifacts, root: Path, refs: Iterable[ArtifactRef]) -> frozenset[str]:
    """Put back what the store lost; returns the paths of what no longer is anywhere."""
    lost = set()
    for ref in {ref.path: ref for ref in refs}.values():
        if not store.fault(ref):
            continue
        kept = backups.stored(root, ref)
        if not kept.is_file() or backups.piece_of(kept, kept.parent).sha256 != ref.sha256:
            lost.add(ref.path)
            continue
        store.put(kept, ref.path)
    return frozenset(lost)


def _copied(store: Artifacts, ref: ArtifactRef, target: Path) -> bool:
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        source = store.opened(ref)
    except ArtifactError:
        return False
    try:
        with source, part.open("wb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != ref.sha256:
            return False
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return True
