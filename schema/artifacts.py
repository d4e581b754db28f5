"""Files that outlive a process: put whole or not at all, opened by reference, verified by checksum.

Any fsspec store; a plain folder by default. A file appears under its name only when all its bytes are there.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from schema.documents import ArtifactRef
from schema.errors import ArtifactError

_CHUNK_BYTES = 1 << 20


def _checked(path: str) -> str:
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\\" in path:
        message = f"artifact path {path!r} leaves its folder, or is that folder itself"
        raise ValueError(message)
    return str(pure)


class Artifacts:
    """A store of files below one root URL, such as `file:///srv/ytempire` or `s3://bucket/prefix`."""

    def __init__(self, url: str) -> None:
        """Open the store; a bare path is a folder on this machine."""
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._local = isinstance(self._fs, LocalFileSystem)

    def _at(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{_checked(path)}"

    def put(self, source: Path, path: str) -> ArtifactRef:
        """Store the local file `source` under `path`, replacing what was there in one step."""
        digest, size_bytes = _digest(source)
        self._place(path, lambda part: self._fs.put_file(str(source), part))
        return ArtifactRef(path=path, size_bytes=size_bytes, sha256=digest)

    def promote(self, ref: ArtifactRef, path: str) -> ArtifactRef:
        """Give a stored file a second, final name in one step; on a local disk its bytes are shared, not copied."""
        source = self._at(ref.path)
        self._place(path, lambda part: _link(source, part) if self._local else self._fs.cp_file(source, part))
        return ArtifactRef(path=path, size_bytes=ref.size_bytes, sha256=ref.sha256)

    def _place(self, path: str, fill: Callable[[str], object]) -> None:
        """Let `fill` make a part file beside `path`, then give it that name."""
        target = self._at(path)
        part = f"{target}.{uuid.uuid4().hex[:8]}.part"
        self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        try:
            fill(part)
            if self._local:
                Path(part).replace(target)
                Path(part).unlink(missing_ok=True)  # two names of one file: renaming one to the other does nothing
            else:
                self._fs.mv(part, target)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._fs.rm_file(part)
            message = f"cannot store {path}: {error}"
            raise ArtifactError(message) from error

    @contextlib.contextmanager
    def local(self, ref: ArtifactRef) -> Iterator[Path]:
        """A local path to read the file from, verified; a copy where the store is elsewhere.

        Raises ArtifactError when the file is missing or its bytes are not those that were stored.
        """
        if self._local:
            path = Path(self._at(ref.path))
            _verify(path, ref)
            yield path
            return
        with TemporaryDirectory(prefix="ytempire-") as folder:
            path = Path(folder) / PurePosixPath(ref.path).name
            try:
                self._fs.get_file(self._at(ref.path), str(path))
            except OSError as error:
                message = f"cannot fetch {ref.path}: {error}"
                raise ArtifactError(message) from error
            _verify(path, ref)
            yield path

    def opened(self, ref: ArtifactRef) -> IO[bytes]:
        """The stored file, open for reading and seeking; its size is checked, its checksum is not.

        Raises ArtifactError when it is missing, cannot be read, or has another size.
        """
        try:
            file: IO[bytes] = self._fs.open(self._at(ref.path), "rb")
            size_bytes = file.seek(0, 2)
            file.seek(0)
        except OSError as error:
            raise ArtifactError(f"artifact {ref.path} cannot be read: {error}") from error
        if size_bytes != ref.size_bytes:
            file.close()
            raise ArtifactError(f"artifact {ref.path} has changed: {size_bytes} bytes, stored were {ref.size_bytes}")
        return file

    def fault(self, ref: ArtifactRef) -> str:
        """What is wrong with a stored file, in words; empty where it is what was stored. Reads all of it.

        Raises ArtifactError where the store cannot be read, which says nothing about the file.
        """
        try:
            if not self._fs.exists(self._root):
                raise ArtifactError(f"the store of artifacts is not there: {self._root}")
            with self._fs.open(self._at(ref.path), "rb") as file:
                digest, size_bytes = _digest_of(file)
        except FileNotFoundError:
            return f"{ref.path} is missing"
        except OSError as error:
            raise ArtifactError(f"artifact {ref.path} cannot be read: {error}") from error
        if digest == ref.sha256:
            return ""
        return f"{ref.path} has changed: {_compared(digest, size_bytes, ref)}"

    def set_aside(self, path: str, folder: str) -> bool:
        """Move a file or a folder into `folder`, under its own name; False where it is not there."""
        source, target = self._at(path), f"{self._at(folder)}/{PurePosixPath(path).name}"
        if not self._fs.exists(source):
            return False
        if self._fs.exists(target):
            target = f"{target}.{uuid.uuid4().hex[:8]}"
        self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        if self._local:
            Path(source).rename(target)
        else:
            self._fs.mv(source, target, recursive=True)
        return True

    def folder(self, path: str) -> Path | None:
        """Where `path` is as a folder of this machine; None where the store is elsewhere."""
        return Path(self._at(path)) if self._local else None

    def location(self, path: str) -> str:
        """Where `path` is, in words a person can use: a folder's own path, or the store's URL."""
        return self._at(path) if self._local else str(self._fs.unstrip_protocol(self._at(path)))

    def remove_below(self, folder: str) -> None:
        """Remove `folder` and all in it; nothing there is fine."""
        target = self._at(folder)
        if self._local:
            shutil.rmtree(target, ignore_errors=True)
        elif self._fs.exists(target):
            self._fs.rm(target, recursive=True)


def _link(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return _digest_of(file)


def _digest_of(file: IO[bytes]) -> tuple[str, int]:
    digest, size_bytes = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        size_bytes += len(chunk)
    return digest.hexdigest(), size_bytes


def _compared(digest: str, size_bytes: int, ref: ArtifactRef) -> str:
    got, stored = f"{size_bytes} bytes, sha256 {digest[:12]}", f"{ref.size_bytes} bytes, {ref.sha256[:12]}"
    return f"it is {got}; stored were {stored}"


def _verify(path: Path, ref: ArtifactRef) -> None:
    try:
        digest, size_bytes = _digest(path)
    except OSError as error:
        message = f"artifact {ref.path} cannot be read: {error.strerror}"
        raise ArtifactError(message) from error
    if digest != ref.sha256:
        message = f"artifact {ref.path} has changed: {_compared(digest, size_bytes, ref)}"
        raise ArtifactError(message)
