"""What may be thrown away, class by class, and the throwing away: never an input of work in hand.

Looks first and says what and how much. Before anything of a video goes, the record is asked again and told, in one
transaction that no retry can come between; what was bought stays, since another video may come to use it. Films stay,
and so does whatever it does not know.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from deploy.recovery import backups, point_in_time
from deploy.recovery.dumps import PROOF
from deploy.recovery.restore import ASIDE, RESTORING
from schema.artifacts import Cache
from schema.errors import ConfigurationError
from schema.record import databases
from schema.record.belongings import Belongings
from schema.record.postgres import Postgres
from schema.settings.servers import Servers
from streams.transport import consumers

_DAY_S: Final = 86_400.0
#: A file that is being written is renamed within moments; a film takes minutes.
_PART_S: Final = 3_600.0
#: A process makes its scratch folder before anything else can know of it.
_YOUNG_S: Final = 60.0
#: No attempt takes so long.
_UNHEARD_S: Final = _DAY_S
_ASIDE_DAYS: Final = 7.0
_STAMP_CHARS: Final = len("20261125t143000")
_LOGS_IN_USE: Final = ("pipeline.log",)


class Item(msgspec.Struct, frozen=True):
    """Something that may go: a path or a database, how large it is, and why."""

    kind: str
    name: str
    size_bytes: int
    why: str


class Cleaning:
    """One look at everything, and the way to carry it out."""

    def __init__(self, servers: Servers, postgres: Postgres, database_url: str) -> None:
        """`postgres` is open, and of the database at `database_url`."""
        self._servers, self._database_url = servers, database_url
        self._belongings = Belongings(postgres)
        self._data = Path(servers.data_dir).absolute()
        self._store = _local_folder(servers.artifacts_address)
        self._cache = Cache(servers.artifacts_cache_folder, servers.artifacts_cache_bytes)
        self._now_s = time.time()

    async def look(self) -> list[Item]:
        """All that may go."""
        found = [
            *self._scratch(),
            *self._logs(),
            *self._parts(),
            *self._quarantined(),
            *self._backups(),
            *self._asides(),
            *self._cached(),
        ]
        return [*found, *await self._work(), *await self._parts_here(), *await self._databases()]

    async def carry_out(self, items: list[Item], say: Callable[[str], None]) -> int:
        """Remove these; returns the bytes that went. What came into use meanwhile stays, and is said."""
        gone = 0
        bought = await self._bought() if any(item.kind == "work" for item in items) else frozenset()
        for item in items:
            if await self._remove(item, bought):
                gone += item.size_bytes
            else:
                say(f"kept, it is in use: {item.name}")
        return gone

    async def _remove(self, item: Item, bought: frozenset[Path]) -> bool:
        match item.kind:
            case "work":
                folder = Path(item.name)
                known = await self._belongings.work_of([folder.name])
                if known and not await self._belongings.forget_work(folder.name):
                    return False
                await asyncio.to_thread(_remove_but, folder, bought)
            case "cache":
                return await asyncio.to_thread(self._cache.remove, Path(item.name).name)
            case "database":
                await databases.drop(databases.named(self._database_url, item.name))
            case "backup":
                await asyncio.to_thread(backups.remove, Path(item.name))
            case _:
                await asyncio.to_thread(_remove, Path(item.name))
        return True

    async def _work(self) -> list[Item]:
        """Working files of videos that ended long enough ago."""
        if self._store is None:
            return []  # a store elsewhere has rules of its own for how long things stay
        folders = {folder.name: folder for folder in (self._store / "work").glob("*") if folder.is_dir()}
        known = await self._belongings.work_of(folders)
        bought = await self._bought()
        found = []
        for video, folder in sorted(folders.items()):
            size = sum(path.stat().st_size for path in _files(folder) if path not in bought)
            if video not in known:
                # an older record was restored, perhaps, and a newer one is kept aside
                if size and self._age_s(folder) > self._servers.keep_failed_days * _DAY_S:
                    found.append(Item("work", str(folder), size, "the record does not know its video"))
                continue
            how = known[video]
            days = {"completed": self._servers.keep_work_days, "failed": self._servers.keep_failed_days}
            days["cancelled"] = days["failed"]
            if how.status in days and how.ended_s_ago > days[how.status] * _DAY_S and size:
                ended = f"{how.status} {how.ended_s_ago / _DAY_S:.0f} days ago"
                found.append(Item("work", str(folder), size, ended))
        return found

    async def _parts_here(self) -> list[Item]:
        """What attempts of this host kept here of videos that ended elsewhere, where the store is no folder of it."""
        if self._store is not None:
            return []
        folders = {folder.name: folder for folder in (self._data / "work").glob("*") if folder.is_dir()}
        known = await self._belongings.work_of(folders)
        found = []
        for video, folder in sorted(folders.items()):
            how, days = known.get(video), self._servers.keep_failed_days
            if how is None and self._age_s(folder) > days * _DAY_S:
                found.append(Item("parts", str(folder), _size(folder), "the record does not know its video"))
            elif how is not None and how.status == "completed":
                found.append(Item("parts", str(folder), _size(folder), "its video is completed"))
            elif how is not None and how.status in {"failed", "cancelled"} and how.ended_s_ago > days * _DAY_S:
                found.append(
                    Item("parts", str(folder), _size(folder), f"its video {how.status}, and nobody retried it")
                )
        return found

    def _cached(self) -> Iterator[Item]:
        """What can be fetched again, and nobody came for in a while; of a store that is a folder now, all."""
        folder, days = self._servers.artifacts_cache_folder, self._servers.keep_work_days
        self._cache.trim()
        for one in self._cache.kept():
            if self._store is not None:
                yield Item("cache", str(folder / one.name), one.size_bytes, "the store is a folder of this machine")
            elif one.unused_s > days * _DAY_S:
                yield Item("cache", str(folder / one.name), one.size_bytes, f"was not used for {days:g} days")

    async def _bought(self) -> frozenset[Path]:
        store = self._store
        return frozenset() if store is None else frozenset(store / ref.path for ref in await self._belongings.bought())

    async def _databases(self) -> list[Item]:
        """Old records that stand aside, and what backups and restores that were killed left."""
        found = []
        record = databases.name_of(self._database_url)
        for name, size in (await databases.beside(self._database_url, f"{record}{ASIDE}")).items():
            at = _aside_at(name.removeprefix(f"{record}{ASIDE}"))
            if at is not None and self._now_s - at > _ASIDE_DAYS * _DAY_S:
                found.append(Item("database", name, size, f"was put aside more than {_ASIDE_DAYS:g} days ago"))
        left: dict[str, int] = {}
        for ending in (PROOF, RESTORING):
            left |= await databases.beside(self._database_url, f"{record}{ending}")
        if left and not _backup_under_way(self._servers.backups_folder):
            found += [Item("database", name, size, "left by one that was killed") for name, size in left.items()]
        return found

    def _scratch(self) -> Iterator[Item]:
        for folder in sorted((self._data / "scratch").glob("*-*")):
            age_s = self._age_s(folder)
            if consumers.surely_dead(folder.name) and age_s > _YOUNG_S:
                yield Item("scratch", str(folder), _size(folder), "its process is gone")
            elif age_s > _UNHEARD_S:  # of another machine or container, of which nothing is known here
                yield Item("scratch", str(folder), _size(folder), "no attempt has begun in it for a day")

    def _logs(self) -> Iterator[Item]:
        for path in sorted((self._data / "logs").glob("*")):
            if path.name not in _LOGS_IN_USE and self._age_s(path) > self._servers.keep_work_days * _DAY_S:
                yield Item("log", str(path), _size(path), f"older than {self._servers.keep_work_days:g} days")

    def _parts(self) -> Iterator[Item]:
        if self._store is not None:
            for folder in ("work", "videos", "quarantine"):
                for path in sorted((self._store / folder).rglob("*.part")):
                    if self._age_s(path) > _PART_S:
                        yield Item("part", str(path), _size(path), "was never finished")

    def _quarantined(self) -> Iterator[Item]:
        if self._store is not None:
            for folder in sorted((self._store / "quarantine").glob("*")):
                if self._age_s(folder) > self._servers.keep_failed_days * _DAY_S:
                    yield Item(
                        "quarantine", str(folder), _size(folder), f"older than {self._servers.keep_failed_days:g} days"
                    )

    def _backups(self) -> Iterator[Item]:
        root = self._servers.backups_folder
        if _backup_under_way(root):
            return
        for folder in backups.too_many(root):
            yield Item("backup", str(folder), _size(folder), "more than are kept of its class")
        for path in point_in_time.needless(root):
            yield Item("log piece", str(path), _size(path), "no base backup needs it")
        for path in backups.unused_files(root):
            yield Item("file", str(path), _size(path), "no backup names it")

    def _asides(self) -> Iterator[Item]:
        for folder in sorted(self._data.glob(f"{point_in_time.ASIDE}*")):
            at = backups.moment(folder.name.removeprefix(point_in_time.ASIDE))
            if at is not None and self._now_s - at.timestamp() > _ASIDE_DAYS * _DAY_S:
                yield Item("aside", str(folder), _size(folder), f"was put aside more than {_ASIDE_DAYS:g} days ago")

    def _age_s(self, path: Path) -> float:
        try:
            return self._now_s - path.lstat().st_mtime
        except OSError:
            return 0.0


def is_full(servers: Servers, percent: float) -> bool:
    """Whether the disk of the data directory is used beyond this: then a chore cleans without being asked."""
    disk = shutil.disk_usage(servers.data_dir)
    return 100 * (disk.total - disk.free) / disk.total > percent


def totals(items: list[Item]) -> dict[str, tuple[int, int]]:
    """Of each class, how many and how many bytes."""
    found: dict[str, tuple[int, int]] = {}
    for item in items:
        count, size = found.get(item.kind, (0, 0))
        found[item.kind] = (count + 1, size + item.size_bytes)
    return found


def _local_folder(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        return Path(parts.path).absolute()
    return None


def _aside_at(stamp: str) -> float | None:
    at = backups.moment(f"{stamp[:_STAMP_CHARS]}z".upper())  # what follows tells two of a second apart
    return None if at is None else at.astimezone(UTC).timestamp()


def _backup_under_way(root: Path) -> bool:
    if not root.is_dir():
        return False
    try:
        with backups.alone(root):
            return False
    except ConfigurationError:
        return True


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size if not path.is_dir() else sum(each.lstat().st_size for each in _files(path))
    except OSError:
        return 0


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remove_but(folder: Path, kept: frozenset[Path]) -> None:
    """Remove what is in a folder, and the folder where nothing is kept in it."""
    stays = False
    for path in sorted(_files(folder)):
        if path in kept:
            stays = True
        else:
            path.unlink(missing_ok=True)
    if not stays:
        shutil.rmtree(folder, ignore_errors=True)
