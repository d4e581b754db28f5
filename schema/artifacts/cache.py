"""Files of a store elsewhere, kept on this host by their checksum: each is fetched once, not each time it is read.

What it hands out has been compared with its checksum just now; a wrong one is fetched again. A file is there whole or
not at all. All processes of a host share it by locks of the kernel, which go with whoever held them: what is in use
stays until it is let go, and what a killed process left half is swept by the next one that comes. It is no larger than
its bound, unless more than that is in use at once; what was not used for longest goes first. It needs a disk of this
host: locks on a network's are not to be trusted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from schema.artifacts.digests import digest_of, verify
from schema.documents import ArtifactRef
from schema.errors import ArtifactError

_LOCK: Final = "lock"
_PART: Final = ".part"
#: How often a file is looked for again that was wrong, or made by somebody else meanwhile.
_TRIES: Final = 4


class Kept(msgspec.Struct, frozen=True):
    """One file of the cache."""

    name: str
    size_bytes: int
    unused_s: float


class Cache:
    """The cache in one folder; any number of these may share it. The folder is made when something comes into it."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes

    @contextmanager
    def held(self, ref: ArtifactRef, fetch: Callable[[str], object]) -> Iterator[Path]:
        """Where the file is, verified, and kept from removal meanwhile; where it lacks, `fetch` writes it to a path.

        Raises ArtifactError when what was fetched is not what was stored, or this host cannot keep it.
        """
        with self._verified(ref, fetch):
            yield self._at(ref)
        self.trim()

    def keep(self, source: Path, ref: ArtifactRef) -> None:
        """Take a copy of what was stored just now; none where this host has no room."""
        with contextlib.suppress(ArtifactError):
            if not self._at(ref).exists():
                hold = self._filled(ref, lambda part: shutil.copyfile(source, part))
                if hold is not None:
                    hold.close()
                self.trim()

    def trim(self) -> None:
        """Bring it back to its bound, as far as nobody uses what is in it; where there is none, none is made."""
        if not self._folder.is_dir():
            return
        with contextlib.suppress(OSError), self._alone():
            self._make_room(0)

    def kept(self) -> list[Kept]:
        """All that is there whole, in order of their names."""
        now_s, found = time.time(), []
        for path in sorted(self._folder.glob("*")):
            with contextlib.suppress(FileNotFoundError):
                if path.name != _LOCK and path.suffix != _PART:
                    seen = path.stat()
                    found.append(Kept(path.name, seen.st_size, now_s - seen.st_mtime))
        return found

    def remove(self, name: str) -> bool:
        """Remove a file of it; False where it is in use."""
        with self._alone():
            return _removed(self._folder / name)

    def _at(self, ref: ArtifactRef) -> Path:
        return self._folder / ref.sha256

    def _verified(self, ref: ArtifactRef, fetch: Callable[[str], object]) -> IO[bytes]:
        """The file, open: nobody removes it until it is closed."""
        for _ in range(_TRIES):
            hold = self._opened(ref)
            if hold is None:
                if (filled := self._filled(ref, fetch)) is not None:
                    return filled
                continue
            if digest_of(hold)[0] == ref.sha256:
                return hold
            self._discard(ref, hold)
        raise ArtifactError(f"artifact {ref.path} goes bad in the cache again and again; is the disk sound?")

    def _opened(self, ref: ArtifactRef) -> IO[bytes] | None:
        """The file, locked against removal before anybody could remove it; None where it lacks."""
        try:
            with self._alone():
                hold = self._at(ref).open("rb")
                fcntl.flock(hold, fcntl.LOCK_SH)
                os.utime(self._at(ref))
                return hold
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _cannot(ref, error) from error

    def _filled(self, ref: ArtifactRef, fetch: Callable[[str], object]) -> IO[bytes] | None:
        """The file, fetched and locked; None where somebody else was faster."""
        part = self._folder / f"{ref.sha256}.{ref.size_bytes}.{uuid.uuid4().hex[:8]}{_PART}"
        try:
            with self._alone():
                self._make_room(ref.size_bytes)
                hold = part.open("w+b")
                fcntl.flock(hold, fcntl.LOCK_EX)  # by which others know that this part is being written
        except OSError as error:
            raise _cannot(ref, error) from error
        try:
            fetch(str(part))
            verify(part, ref)
            with self._alone():
                if not self._at(ref).exists():
                    part.rename(self._at(ref))
                    fcntl.flock(hold, fcntl.LOCK_SH)
                    return hold
        except BaseException as error:
            hold.close()
            part.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise _cannot(ref, error) from error
            raise
        hold.close()
        part.unlink(missing_ok=True)
        return None

    def _discard(self, ref: ArtifactRef, hold: IO[bytes]) -> None:
        """Remove a file that is wrong, where it is still the one that its name means."""
        with hold, self._alone(), contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(hold.fileno()), self._at(ref).stat()):
                self._at(ref).unlink()

    def _make_room(self, size_bytes: int) -> None:
        """Sweep what killed processes left, then remove until so much more fits; called alone."""
        used_bytes, whole = 0, []
        for path in self._folder.iterdir():
            if path.suffix == _PART:
                used_bytes += 0 if _removed(path) else int(path.name.split(".")[1])
            elif path.name != _LOCK:
                seen = path.stat()
                used_bytes += seen.st_size
                whole.append((seen.st_mtime, seen.st_size, path))
        for _, freed_bytes, path in sorted(whole):
            if used_bytes + size_bytes <= self._max_bytes:
                return
            if _removed(path):
                used_bytes -= freed_bytes

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The only one, of all processes, that gives or takes names here; for moments."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _removed(path: Path) -> bool:
    """Remove a file unless somebody holds it; called alone, so that nobody takes hold of it meanwhile."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def _cannot(ref: ArtifactRef, error: OSError) -> ArtifactError:
    return ArtifactError(f"artifact {ref.path} cannot be kept in the cache: {error}")
