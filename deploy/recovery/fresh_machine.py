"""From a folder of backups and an empty data directory to a record that a factory can be started on.

Takes the way that loses least: base backup and log where they reach further than the newest dump, else the dump; a way
that fails is told, and the next one is tried. Afterwards the journal, the artifacts and the money are as after any
restore. A data directory that has a record is refused: that is what `restore` is for.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from deploy.launch import postgres, valkey
from deploy.launch.data_directory import refuse_full_disk
from deploy.launch.ports import free_ports
from deploy.launch.program import running
from deploy.recovery import backups, point_in_time
from deploy.recovery.backups import Backup, BackupError
from deploy.recovery.dumps import why
from deploy.recovery.restore import mend, refuse, restore
from schema.errors import ConfigurationError, PipelineError
from schema.record import databases
from schema.settings.servers import Servers

Say = Callable[[str], None]
#: Nothing is ever removed from these.
_ONLY_GROW: Final = ("public.video_queue", "public.stage_attempts", "money.reservations")
_WITHIN_S: Final = 120.0


@contextmanager
def bus_running(data_dir: Path) -> Iterator[str]:
    """Our Valkey, likewise."""
    port = free_ports()
    with running(valkey.valkey(data_dir / "valkey", port), data_dir / "logs" / "recovery.log"):
        yield valkey.url(port)


class _Came(NamedTuple):
    at: datetime
    way: str
    opened_again: tuple[str, ...]


class Recovered(msgspec.Struct, frozen=True):
    """What stands now: the moment it is of, how it came, and how long that took."""

    at: datetime
    way: str
    opened_again: tuple[str, ...]
    took_s: float


def recover(servers: Servers, data_dir: Path, source: Path, say: Say, *, dump_only: bool = False) -> Recovered:
    """Bring the newest record that `source` can give into an empty data directory, which the caller holds.

    Raises BackupError where there is none, and ConfigurationError where a record is there already.
    """
    began_s = time.monotonic()
    servers = _for(servers, data_dir)
    refuse_full_disk(data_dir)
    if (data_dir / "postgres").exists():
        raise ConfigurationError(
            f"there is a record in {data_dir / 'postgres'}: recover is for an empty data directory",
            hint="./ytempire restore puts a backup in its place, or name another folder with --data DIR",
        )
    found = backups.listed(source)
    newest = found[-1] if found else None
    problems = []
    for attempt in _ways(servers, data_dir, source, found, say, dump_only=dump_only):
        try:
            at, way, again = attempt()
        except PipelineError as error:
            problems.append(why(error))
            say(f"that way failed: {why(error)}")
            shutil.rmtree(data_dir / "postgres", ignore_errors=True)
            continue
        _bring_settings(newest, data_dir, say)
        return Recovered(at, way, again, time.monotonic() - began_s)
    raise BackupError(
        f"nothing in {source} can be recovered from: {'; '.join(problems) or 'there is no backup'}",
        hint="--from names the folder that holds hourly/, daily/, weekly/, base/ and wal/",
    )


@contextmanager
def record_running(servers: Servers, data_dir: Path) -> Iterator[str]:
    """Our Postgres on a data directory that no factory runs on, for as long as the block lasts; gives its address."""
    archive = servers.backups_folder / "wal" if servers.wal_archive else None
    port = free_ports()
    log = data_dir / "logs" / "recovery.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with running(postgres.postgres(data_dir / "postgres", port, archive=archive), log, ready_within_s=_WITHIN_S):
        yield postgres.url(port)


def _ways(
    servers: Servers, data_dir: Path, source: Path, found: list[Backup], say: Say, *, dump_only: bool
) -> Iterator[Callable[[], _Came]]:
    bases = [] if dump_only else point_in_time.listed(source)
    if bases and (not found or point_in_time.reaches(source, bases[-1]) >= found[-1].manifest.at):
        yield partial(_from_log, servers, data_dir, source, found[-1] if found else None, say)
    for backup in reversed(found):
        yield partial(_from_dump, servers, data_dir, backup, say)


def _from_log(servers: Servers, data_dir: Path, source: Path, newest: Backup | None, say: Say) -> _Came:
    base = point_in_time.listed(source)[-1]
    point_in_time.replay(source, data_dir, servers.backups_folder / "wal", say)
    with record_running(servers, data_dir) as database_url:
        if newest is not None:
            _refuse_less(asyncio.run(databases.counts(database_url)), newest)
        mended = asyncio.run(mend(servers, database_url, newest, say))
    return _Came(point_in_time.reaches(source, base), "base backup and log", mended.opened_again)


def _refuse_less(rows: dict[str, int], newest: Backup) -> None:
    """Raise BackupError where a replayed record lacks what the newest dump has: some of its log is missing."""
    for table in _ONLY_GROW:
        if rows.get(table, 0) < newest.manifest.rows.get(table, 0):
            raise BackupError(
                f"the log ends before the newest dump: {table} has {rows.get(table, 0)} rows, "
                f"the dump of {newest.manifest.at:%Y-%m-%d %H:%M:%S} UTC has {newest.manifest.rows[table]}"
            )


def _from_dump(servers: Servers, data_dir: Path, backup: Backup, say: Say) -> _Came:
    refuse(backup)
    with record_running(servers, data_dir) as database_url:
        restored = restore(servers, database_url, backup, say)
        if restored.aside:  # the database that a new data directory begins with holds nothing
            asyncio.run(databases.drop(databases.named(database_url, restored.aside)))
    return _Came(restored.at, f"{backup.manifest.kind} backup {backup.folder.name}", restored.opened_again)


def _for(servers: Servers, data_dir: Path) -> Servers:
    return msgspec.structs.replace(servers, data_dir=str(data_dir))


def _bring_settings(newest: Backup | None, data_dir: Path, say: Say) -> None:
    """Put the settings that the backup kept where a person finds them; nothing reads them by itself."""
    kept = newest.folder / "config/settings.env" if newest else None
    if kept is not None and kept.is_file():
        target = data_dir / "settings.env"
        shutil.copyfile(kept, target)
        secrets = [
            line.split()[1] for line in kept.read_text(encoding="utf-8").splitlines() if line.endswith(" was set")
        ]
        say(f"settings of the old machine: {target}" + (f"; set anew: {', '.join(secrets)}" if secrets else ""))
