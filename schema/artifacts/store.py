"""Files that outlive a process: put whole or not at all, opened by reference, verified by checksum.

Any fsspec store; a plain folder by default. A file appears under its name only when all its bytes are there. What is
read of a store elsewhere is kept on this host by its checksum; a file that is kept is handed out although the store
has lost it since. A store that cannot be used raises StoreUnavailableError, whatever was asked of it.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from schema.artifacts.cache import Cache
from schema.artifacts.digests import compared, digest, digest_of, verify
from schema.artifacts.remote import READ_BYTES, SENT_BYTES, Access, Remote
from schema.documents import ArtifactRef
from schema.errors import ArtifactError, StoreUnavailableError


def _checked(path: str) -> str:
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\\" in path:
        message = f"artifact path {path!r} leaves its folder, or is that folder itself"
        raise ValueError(message)
    return str(pure)


class Artifacts:
    """A store of files below one root URL, such as `file:///srv/ytempire` or `s3://bucket/prefix`."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        """Open the store; a bare path is a folder on this machine. Asks a store elsewhere nothing yet."""
        access = access or Access()
        self._remote = Remote(url, access)
        self._fs, self._root, self._local = self._remote.fs, self._remote.root, self._remote.is_local
        if not self._local:
            self._cache = Cache(Path(access.cache_dir or self._own_folder()), access.cache_bytes)

    def _own_folder(self) -> str:
        folder = tempfile.mkdtemp(prefix="ytempire-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _at(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{_checked(path)}"

    def reach(self) -> None:
        """Raise StoreUnavailableError where a store elsewhere cannot be used at the moment; cheap."""
        self._remote.reach()

    def _refuse_absence(self) -> None:
        """A file is missing: raise StoreUnavailableError where its whole store is."""
        self.reach()
        if not self._remote.is_object_store and not self._fs.exists(self._root):
            raise StoreUnavailableError(f"the store of artifacts is not there: {self._root}")

    def put(self, source: Path, path: str) -> ArtifactRef:
        """Store the local file `source` under `path`, replacing what was there in one step."""
        sha256, size_bytes = digest(source)
        ref = ArtifactRef(path=path, size_bytes=size_bytes, sha256=sha256)
        sent = {"chunksize": SENT_BYTES} if self._remote.is_s3 else {}
        self._place(path, lambda part: self._fs.put_file(str(source), part, **sent))
        if not self._local:
            self._cache.keep(source, ref)
        return ref

    def promote(self, ref: ArtifactRef, path: str) -> ArtifactRef:
        """Give a stored file a second, final name in one step; on a local disk its bytes are shared, not copied."""
        source = self._at(ref.path)
        self._place(path, lambda part: _link(source, part) if self._local else self._fs.cp_file(source, part))
        return ArtifactRef(path=path, size_bytes=ref.size_bytes, sha256=ref.sha256)

    def _place(self, path: str, fill: Callable[[str], object]) -> None:
        """Let `fill` make a part file beside `path`, then give it that name.

        An object store shows what is sent to it when all of it is there, and cannot rename: there it is made in place.
        """
        target = self._at(path)
        part = target if self._remote.is_object_store else f"{target}.{uuid.uuid4().hex[:8]}.part"
        try:
            with self._remote.speaking(f"cannot store {path}"):
                if part != target:
                    self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                fill(part)
                if self._local:
                    Path(part).replace(target)
                    Path(part).unlink(missing_ok=True)  # two names of one file: renaming one to the other does nothing
                elif part != target:
                    self._fs.mv(part, target)
        except (ArtifactError, OSError) as error:
            if part != target:
                with contextlib.suppress(OSError):
                    self._fs.rm_file(part)
            if isinstance(error, ArtifactError):
                raise
            self.reach()
            raise ArtifactError(f"cannot store {path}: {error}") from error

    @contextlib.contextmanager
    def local(self, ref: ArtifactRef) -> Iterator[Path]:
        """A local path to read the file from, verified; in the cache where the store is elsewhere.

        Raises ArtifactError when the file is missing or its bytes are not those that were stored.
        """
        if self._local:
            path = Path(self._at(ref.path))
            verify(path, ref)
            yield path
            return
        _checked(ref.path)
        with self._cache.held(ref, lambda part: self._fetch(ref, part)) as path:
            yield path

    def _fetch(self, ref: ArtifactRef, part: str) -> None:
        try:
            with self._remote.speaking(f"cannot fetch {ref.path}"):
                self._fs.get_file(self._at(ref.path), part)
        except FileNotFoundError as error:
            self._refuse_absence()
            raise ArtifactError(f"cannot fetch {ref.path}: it is missing") from error

    def opened(self, ref: ArtifactRef) -> IO[bytes]:
        """The stored file, open for reading and seeking; its size is checked, its checksum is not.

        Raises ArtifactError when it is missing, cannot be read, or has another size.
        """
        try:
            with self._remote.speaking(f"artifact {ref.path} cannot be read"):
                file: IO[bytes] = self._fs.open(self._at(ref.path), "rb", block_size=READ_BYTES)
                size_bytes = file.seek(0, 2)
                file.seek(0)
        except FileNotFoundError as error:
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
            with (
                self._remote.speaking(f"artifact {ref.path} cannot be read"),
                self._fs.open(self._at(ref.path), "rb", block_size=READ_BYTES) as file,
            ):
                sha256, size_bytes = digest_of(file)
        except FileNotFoundError:
            self._refuse_absence()
            return f"{ref.path} is missing"
        if sha256 == ref.sha256:
            return ""
        return f"{ref.path} has changed: {compared(sha256, size_bytes, ref)}"

    def probe(self) -> None:
        """Really write, read and remove a file.

        Raises ArtifactError or StoreUnavailableError where one of it does not work, or does not give what was written.
        """
        written = uuid.uuid4().bytes
        path = f"probe-{written.hex()}"
        with tempfile.NamedTemporaryFile(prefix="ytempire-") as file:
            file.write(written)
            file.flush()
            self._place(path, lambda part: self._fs.put_file(file.name, part))
        with self._remote.speaking("the store cannot be read"):
            read = self._fs.cat_file(self._at(path))
        with self._remote.speaking("nothing can be removed from the store"):
            self._fs.rm_file(self._at(path))
        if read != written:
            raise ArtifactError(f"the store gave {read[:32]!r}, written was {written!r}")

    def set_aside(self, path: str, folder: str) -> bool:
        """Move a file or a folder into `folder`, under its own name; False where it is not there."""
        source, target = self._at(path), f"{self._at(folder)}/{PurePosixPath(path).name}"
        with self._remote.speaking(f"{path} cannot be moved to {folder}"):
            if not self._fs.exists(source):
                return False
            if self._fs.exists(target):
                target = f"{target}.{uuid.uuid4().hex[:8]}"
            if self._local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                Path(source).rename(target)
            else:
                self._move_elsewhere(source, target)
        return True

    def _move_elsewhere(self, source: str, target: str) -> None:
        """File by file, each copied before it is removed: one that is killed loses nothing."""
        for path in self._fs.find(source):
            to = target + path.removeprefix(source)
            if not self._remote.is_object_store:
                self._fs.makedirs(to.rsplit("/", 1)[0], exist_ok=True)
            self._fs.cp_file(path, to)
            self._fs.rm_file(path)
        if self._fs.exists(source):  # folders of their own, which are empty now
            self._fs.rm(source, recursive=True)

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
            return
        with self._remote.speaking(f"{folder} cannot be removed"):
            if self._fs.exists(target):
                self._fs.rm(target, recursive=True)


def _link(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
