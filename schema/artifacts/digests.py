"""Checksums of files, and what one is against what was stored, in words."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO

from schema.documents import ArtifactRef
from schema.errors import ArtifactError

_CHUNK_BYTES = 1 << 20


def digest(path: Path) -> tuple[str, int]:
    """The SHA-256 of a file and its size in bytes."""
    with path.open("rb") as file:
        return digest_of(file)


def digest_of(file: IO[bytes]) -> tuple[str, int]:
    """The same of an open file, from where it stands."""
    hashed, size_bytes = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK_BYTES):
        hashed.update(chunk)
        size_bytes += len(chunk)
    return hashed.hexdigest(), size_bytes


def compared(sha256: str, size_bytes: int, ref: ArtifactRef) -> str:
    """What a file is, and what was stored."""
    got, stored = f"{size_bytes} bytes, sha256 {sha256[:12]}", f"{ref.size_bytes} bytes, {ref.sha256[:12]}"
    return f"it is {got}; stored were {stored}"


def verify(path: Path, ref: ArtifactRef) -> None:
    """Raise ArtifactError where the file at `path` is missing, cannot be read, or is not what was stored."""
    try:
        sha256, size_bytes = digest(path)
    except OSError as error:
        raise ArtifactError(f"artifact {ref.path} cannot be read: {error.strerror}") from error
    if sha256 != ref.sha256:
        raise ArtifactError(f"artifact {ref.path} has changed: {compared(sha256, size_bytes, ref)}")
