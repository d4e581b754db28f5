"""Any moment of a Postgres of ours: base backups, the archive of its write-ahead log, and the way back from both.

The past is replayed in a folder beside the data directory, by a server of its own on a free port; it takes the data
directory's place only when it has come to the moment that was asked for, and the old one is kept aside. What the
archive did not get yet is taken from the old data directory, where that is still there: then nothing is lost. The
replayed record is as it was; money's journal is imported by whoever calls this.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from deploy.launch import postgres
from deploy.launch.ports import free_ports
from deploy.launch.probes import until_it
from deploy.launch.program import running
from deploy.recovery import backups
from deploy.recovery.backups import BASE, BackupError, Manifest
from deploy.recovery.tools import gzip, run, tool
from schema.clock import Clock, SystemClock
from schema.errors import ConfigurationError, RecordUnavailableError
from schema.record import databases

Say = Callable[[str], None]
#: How data directories are called that a replayed one took the place of.
ASIDE: Final = "postgres.before-"
_REPLAYING: Final = "postgres.replaying"
_SEGMENT: Final = re.compile(r"[0-9A-F]{24}|[0-9A-F]{8}\.history")
#: A base backup that is being made is not listed yet, and needs log from before its end.
_MARGIN_S: Final = 3_600.0
_REPLAY_WITHIN_S: Final = 4 * 3600.0
#: Postgres says this where its log ends before the moment that was asked for.
_TOO_FAR: Final = "recovery ended before configured recovery target was reached"


class Base(msgspec.Struct, frozen=True):
    """A base backup: from the end of its making on, any moment can be gone back to."""

    folder: Path
    ended_at: datetime
    system: str
    server_major: int


class Replayed(msgspec.Struct, frozen=True):
    """A data directory that was replayed and stands now."""

    base: Base
    segments: int
    aside: Path | None
    took_s: float


def make(root: Path, data_dir: Path, database_url: str, say: Say, *, clock: Clock | None = None) -> Base:
    """Take a base backup of our running server, and let go of those, and of the log, that are not kept any more."""
    clock = clock or SystemClock()
    found = asyncio.run(databases.server(database_url))
    system = postgres.system_id(data_dir / "postgres")
    target = root / "base" / backups.stamp(clock.now())
    say("base backup, for any moment from now on")
    began_s = time.monotonic()
    with backups.alone(root):
        with backups.part(root, target) as folder:
            run(
                *(tool("pg_basebackup", found.major), f"--pgdata={folder}"),
                *("--format=tar", "--gzip", "--wal-method=fetch", "--checkpoint=fast", "--no-manifest"),
                database_url=database_url,
            )
            piece = backups.piece_of(folder / BASE, folder)
            manifest = Manifest(
                kind="base",
                at=clock.now(),
                took_s=round(time.monotonic() - began_s, 3),
                server_major=found.major,
                tool_major=found.major,
                schema=found.schema,
                rows={},
                pieces=(piece,),
                versions={"system": system},
            )
            backups.write(folder, manifest)
        for old in listed(root)[: -backups.KEPT_BASES]:
            backups.remove(old.folder)
        let_go(root)
    return _base(target)


def listed(root: Path) -> list[Base]:
    """Base backups, the oldest first."""
    found = []
    for folder in (root / "base").glob("*"):
        with contextlib.suppress(BackupError):
            found.append(_base(folder))
    return sorted(found, key=lambda base: base.ended_at)


def reaches(root: Path, base: Base) -> datetime:
    """When the last piece of log came to the archive that this base can be replayed with."""
    pieces = [path.stat().st_mtime for path in (root / "wal" / base.system).glob("*.gz")]
    return max(base.ended_at, datetime.fromtimestamp(max(pieces, default=0.0), UTC))


def replay(root: Path, data_dir: Path, archive: Path, say: Say, *, to: datetime | None = None) -> Replayed:
    """Put the record of the moment `to`, or the last that is known, in place; no server runs on it meanwhile.

    `root` holds the backups; from then on the log is another one, and goes to `archive`.

    Raises BackupError where that moment cannot be reached, and all is as it was then.
    """
    began_s = time.monotonic()
    base = _base_before(root, to)
    backups.check(backups.read(base.folder))
    folder = data_dir / _REPLAYING
    shutil.rmtree(folder, ignore_errors=True)
    try:
        say(f"unpacking the base backup of {base.ended_at:%Y-%m-%d %H:%M:%S} UTC")
        folder.mkdir(parents=True, mode=0o700)
        with tarfile.open(base.folder / BASE) as packed:
            packed.extractall(folder, filter="data")
        folder.chmod(0o700)
        segments = _add_what_was_not_archived(data_dir / "postgres", folder, base.system)
        say(f"replaying the log {f'to {to:%Y-%m-%d %H:%M:%S} UTC' if to else 'to its end'}")
        _run_to_the_end(root, folder, archive, base, to)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    aside = None
    if (data_dir / "postgres").exists():
        aside = (data_dir / "postgres").rename(data_dir / f"{ASIDE}{backups.stamp(datetime.now(UTC))}")
        say(f"the data directory that was is kept as {aside}")
    folder.rename(data_dir / "postgres")
    return Replayed(base, segments, aside, time.monotonic() - began_s)


def _base_before(root: Path, to: datetime | None) -> Base:
    bases = listed(root)
    usable = [base for base in bases if to is None or base.ended_at <= to]
    if usable:
        return usable[-1]
    oldest = f"the oldest is of {bases[0].ended_at:%Y-%m-%d %H:%M:%S} UTC" if bases else "there is none"
    raise BackupError(
        f"no base backup in {root} is from before that moment: {oldest}",
        hint="./ytempire backup --class daily takes one; `restore` without --to restores a dump",
    )


def _add_what_was_not_archived(old: Path, folder: Path, system: str) -> int:
    """Log of the data directory that is being replaced, where it is the same system's: its last moments."""
    try:
        if postgres.system_id(old) != system:
            return 0
    except OSError:
        return 0
    found = [path for path in sorted((old / "pg_wal").iterdir()) if path.is_file() and _SEGMENT.fullmatch(path.name)]
    for path in found:
        shutil.copyfile(path, folder / "pg_wal" / path.name)
    return len(found)


def _run_to_the_end(root: Path, folder: Path, archive: Path, base: Base, to: datetime | None) -> None:
    gzip()
    log = folder.parent / "logs" / "replay.log"
    log.parent.mkdir(exist_ok=True)
    (folder / "recovery.signal").touch()
    postgres.hand_over(folder)
    source = shlex.quote(str(root.absolute() / "wal" / base.system))
    fetch = f'test -f {source}/"%f".gz && gunzip -c {source}/"%f".gz >"%p"'
    settings = {"restore_command": fetch, "recovery_target_action": "promote", "recovery_target_timeline": "latest"}
    if to is not None:
        settings["recovery_target_time"] = to.astimezone(UTC).isoformat(sep=" ")
    port = free_ports()
    program = postgres.postgres(folder, port, archive=archive)  # the new timeline must not be missing there
    words = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
    program = msgspec.structs.replace(program, argv=(*program.argv, *words))
    log.unlink(missing_ok=True)
    try:
        with running(program, log, ready_within_s=_REPLAY_WITHIN_S):
            asyncio.run(_until_promoted(postgres.url(port)))
    except ConfigurationError as error:
        said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        if _TOO_FAR in said:
            raise BackupError(
                f"the log in {root} ends before that moment", hint="ask for an earlier one, or leave --to out"
            ) from error
        raise BackupError(f"the log cannot be replayed: {error}", hint=f"all it said is in {log}") from error


async def _until_promoted(database_url: str) -> None:
    async def promoted() -> bool:
        with contextlib.suppress(RecordUnavailableError):
            return await databases.promoted(database_url)
        return False

    await until_it(promoted, timeout_s=_REPLAY_WITHIN_S)


def needless(root: Path) -> Iterator[Path]:
    """Log that no base backup needs: from before the oldest, or of a system that has none, but for its last hour."""
    bases = listed(root)
    for folder in sorted((root / "wal").glob("*")):
        begins_s = [_began_s(base) for base in bases if base.system == folder.name]
        before_s = min(begins_s, default=time.time()) - _MARGIN_S
        for path in sorted(folder.glob("*.gz")):
            if ".history" not in path.name and path.stat().st_mtime < before_s:
                yield path


def let_go(root: Path) -> None:
    """Remove the log that nothing needs. Call it where nobody replays."""
    for path in list(needless(root)):
        path.unlink(missing_ok=True)


def _began_s(base: Base) -> float:
    """When the making of a base backup began: log from then on is needed."""
    return base.ended_at.timestamp() - backups.read(base.folder).manifest.took_s


def _base(folder: Path) -> Base:
    manifest = backups.read(folder).manifest
    return Base(folder, manifest.at, manifest.versions.get("system", ""), manifest.server_major)
