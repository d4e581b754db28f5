"""The folder of backups: what is in it, whether it is whole, and what goes when.

    CLASS/STAMP/manifest.json, record.dump, journal/, config/, redis/, SHA256SUMS      (hourly 24, daily 7, weekly 4)
    base/STAMP/base.tar.gz, wal/SYSTEM/SEGMENT.gz                                      (any moment since)
    files/ab/abcdef...                                                                 (artifacts, by their checksum)

A backup has its name only when it is whole, proved and on the disk. What is removed loses its name first. One process
at a time writes here. `sha256sum -c SHA256SUMS` in a backup's folder is the check of those who have nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from schema.documents import ArtifactRef
from schema.errors import ConfigurationError, PipelineError

Class = Literal["hourly", "daily", "weekly"]
#: How many of each class are kept.
KEPT: Final[dict[str, int]] = {"hourly": 24, "daily": 7, "weekly": 4}
#: Base backups: as many days can be gone back to any moment.
KEPT_BASES: Final = 7
DUMP, MANIFEST, SUMS, BASE = "record.dump", "manifest.json", "SHA256SUMS", "base.tar.gz"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_CHUNK_BYTES: Final = 1 << 20
_FORMAT: Final = 1


class BackupError(PipelineError):
    """A backup could not be made, or is not one."""


class Piece(msgspec.Struct, frozen=True):
    """A file of a backup, by its path in the backup's folder."""

    path: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is."""

    format: int = _FORMAT
    kind: str
    #: The moment of the record that it holds.
    at: datetime
    took_s: float
    server_major: int
    tool_major: int
    schema: int
    #: Of each table, as counted at that moment and again after the proof.
    rows: dict[str, int]
    pieces: tuple[Piece, ...]
    #: Artifacts, kept beside all backups by their checksum.
    files: tuple[ArtifactRef, ...] = ()
    #: Artifacts that the record named and that were not there.
    missing: tuple[str, ...] = ()
    versions: dict[str, str] = {}


class Backup(msgspec.Struct, frozen=True):
    """One backup and where it is."""

    folder: Path
    manifest: Manifest

    @property
    def size_bytes(self) -> int:
        """Of its own files; artifacts are shared."""
        return sum(piece.size_bytes for piece in self.manifest.pieces)


def stamp(at: datetime) -> str:
    """A moment as folders are named."""
    return at.astimezone(UTC).strftime(_STAMP)


def moment(name: str) -> datetime | None:
    """The moment that a folder's name says; None for another name."""
    try:
        return datetime.strptime(name, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def listed(root: Path, kind: str = "") -> list[Backup]:
    """The backups of one class or of all, the oldest first; what cannot be read is none."""
    found = []
    for each in (kind,) if kind else KEPT:
        for folder in (root / each).glob("*"):
            with contextlib.suppress(BackupError):
                found.append(read(folder))
    return sorted(found, key=lambda backup: backup.manifest.at)


def read(folder: Path) -> Backup:
    """The backup in a folder, or that of its dump; raises BackupError where there is none."""
    folder = folder if folder.is_dir() else folder.parent
    try:
        return Backup(folder.absolute(), msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest))
    except OSError as error:
        raise BackupError(
            f"{folder} holds no backup: {error.strerror}: {MANIFEST}", hint="./ytempire backup"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackupError(f"{folder / MANIFEST} cannot be read: {error}", hint="take another backup") from error


def check(backup: Backup) -> None:
    """Raise BackupError, naming the file, where one is missing, cut off, or not what was written."""
    for piece in backup.manifest.pieces:
        path = backup.folder / piece.path
        try:
            found = piece_of(path, backup.folder)
        except OSError as error:
            raise BackupError(f"{path} cannot be read: {error.strerror}", hint="take another backup") from error
        if found != piece:
            raise BackupError(
                f"{path} is not what was backed up: {found.size_bytes} bytes, sha256 {found.sha256[:12]}; "
                f"it was {piece.size_bytes} bytes, {piece.sha256[:12]}",
                hint="nothing was touched; take another backup: restore --list shows them",
            )


def piece_of(path: Path, folder: Path) -> Piece:
    """A file with its size and checksum."""
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
    return Piece(path.relative_to(folder).as_posix(), size_bytes, digest.hexdigest())


def stored(root: Path, ref: ArtifactRef) -> Path:
    """Where backups keep an artifact."""
    return root / "files" / ref.sha256[:2] / ref.sha256


@contextlib.contextmanager
def part(root: Path, target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` when the block ends well; else nothing of it stays.

    Raises BackupError where the disk does not take it.
    """
    making = root / f".part-{uuid.uuid4().hex[:8]}"
    try:
        making.mkdir(parents=True)
        yield making
        _flush(making)
        target.parent.mkdir(parents=True, exist_ok=True)
        making.rename(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise BackupError(
            f"the backup cannot be written to {root}: {error.strerror or error}; earlier backups are untouched",
            hint="is its disk full, or read-only? YTEMPIRE_BACKUPS_DIR names another one",
        ) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Be the only one who writes here; raises ConfigurationError where somebody else does, or nobody can."""
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"the folder of backups {root} cannot be written: {error.strerror}",
            hint="YTEMPIRE_BACKUPS_DIR names another one",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in root.glob(".part-*"):  # of one that was killed
            shutil.rmtree(left, ignore_errors=True)
        yield
    except BlockingIOError:
        raise ConfigurationError(f"another backup is being made in {root}", hint="wait for it") from None
    finally:
        os.close(descriptor)


def too_many(root: Path) -> list[Path]:
    """Backups beyond what is kept of their class, the oldest first."""
    return [backup.folder for kind, kept in KEPT.items() for backup in listed(root, kind)[:-kept]]


def remove(folder: Path) -> None:
    """Remove a backup, its name first: half of one is never met under it."""
    gone = folder.parent.parent / f".part-{uuid.uuid4().hex[:8]}"
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def unused_files(root: Path) -> list[Path]:
    """Artifacts that no backup names any more, and what a killed one left half written."""
    wanted = {ref.sha256 for backup in listed(root) for ref in backup.manifest.files}
    return [path for path in sorted((root / "files").glob("*/*")) if path.name not in wanted]


def rotate(root: Path) -> list[Path]:
    """Remove what is not kept any more; returns what it was. Call it while `alone`."""
    gone = too_many(root)
    for folder in gone:
        remove(folder)
    for path in unused_files(root):
        path.unlink(missing_ok=True)
    return gone


def write(folder: Path, manifest: Manifest) -> None:
    """Put the manifest and the checksums beside the pieces."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / MANIFEST).write_bytes(text + b"\n")
    sums = (*manifest.pieces, piece_of(folder / MANIFEST, folder))
    (folder / SUMS).write_text("".join(f"{piece.sha256}  {piece.path}\n" for piece in sums), encoding="utf-8")


def _flush(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
