"""Makes a backup: the record as a dump that was restored to prove it, and what else a bare machine would need.

The dump and the count of its rows are of one moment, while the factory works on. It is restored into a database of its
own beside the record, where every row is counted again; only then the backup gets its name, and older ones go as their
class says. Money's journal, the settings without secrets, Redis' files and the artifacts go with it. It cannot tell
whether what the record said was true: integrity does that.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from deploy.launch.plan import ROOT
from deploy.recovery import backups
from deploy.recovery.artifacts import Kept, keep
from deploy.recovery.backups import Backup, BackupError, Class, Manifest
from deploy.recovery.tools import ToolError, run, tool
from schema.artifacts import Artifacts
from schema.clock import Clock, SystemClock
from schema.errors import PipelineError
from schema.record import databases
from schema.record.belongings import Belongings
from schema.record.postgres import Postgres
from schema.settings.environment import variables
from schema.settings.masking import SECRETS, masked
from schema.settings.servers import Servers

Say = Callable[[str], None]
#: Follows the record's name in the name of a database that is being looked at; `clean` removes what a killed one left.
PROOF: Final = "_proof_"
JOURNAL: Final = "journal"
_SETTINGS: Final = "config/settings.env"
#: Settings that are keys, or may hold one.
_KEPT_BACK: Final = (*SECRETS, "redis_url", "database_url")


class Made(msgspec.Struct, frozen=True):
    """A backup that was made, how long it and its proof took, and the older ones that went."""

    backup: Backup
    took_s: float
    proof_s: float
    copied_bytes: int
    gone: tuple[Path, ...]


def make(servers: Servers, database_url: str, kind: Class, say: Say, *, clock: Clock | None = None) -> Made:
    """Make, prove and keep a backup, then rotate its class.

    Raises BackupError, ToolError, ConfigurationError or RecordUnavailableError; earlier backups are as they were.
    """
    clock, root = clock or SystemClock(), servers.backups_folder
    began_s = time.monotonic()
    with backups.alone(root):
        at = clock.now()
        target = root / kind / backups.stamp(at)
        if target.exists():
            raise BackupError(f"there is a backup of this second: {target}", hint="wait a second")
        proof_s, kept = _make(servers, database_url, target, at, say)
        gone = backups.rotate(root)
    for folder in gone:
        say(f"gone, by rotation: {folder.relative_to(root)}")
    return Made(backups.read(target), time.monotonic() - began_s, proof_s, kept.copied_bytes, tuple(gone))


def _make(servers: Servers, database_url: str, target: Path, at: datetime, say: Say) -> tuple[float, Kept]:
    found = asyncio.run(databases.server(database_url))
    pg_dump = tool("pg_dump", found.major)
    began_s = time.monotonic()
    root = servers.backups_folder
    with backups.part(root, target) as folder:
        say(f"dump of {databases.name_of(database_url)} (Postgres {found.major}, schema {found.schema})")
        rows = asyncio.run(_dump(pg_dump, database_url, folder / backups.DUMP))
        proof_began_s = time.monotonic()
        say(f"proof: restoring {sum(rows.values())} rows into a database of its own")
        _prove(database_url, found.major, folder / backups.DUMP, rows)
        proof_s = time.monotonic() - proof_began_s
        say("journal, settings, Redis' files, artifacts")
        _copy_flat(Path(servers.data_dir) / JOURNAL, folder / JOURNAL)
        write_settings(folder / _SETTINGS)
        _copy_redis(Path(servers.data_dir) / "valkey", folder / "redis", say)
        kept = asyncio.run(_keep_artifacts(servers, database_url))
        manifest = Manifest(
            kind=target.parent.name,
            at=at,
            took_s=round(time.monotonic() - began_s, 3),
            server_major=found.major,
            tool_major=_archive_major(pg_dump),
            schema=found.schema,
            rows=rows,
            pieces=tuple(backups.piece_of(path, folder) for path in sorted(folder.rglob("*")) if path.is_file()),
            files=kept.files,
            missing=kept.missing,
            versions={"python": platform.python_version(), "system": platform.platform(terse=True)},
        )
        backups.write(folder, manifest)
    for path in kept.missing:
        say(f"not in the store, so not in the backup: {path}")
    return proof_s, kept


async def _dump(pg_dump: Path, database_url: str, path: Path) -> dict[str, int]:
    """Dump one moment; returns the rows of every table at that moment."""
    async with databases.snapshot(database_url) as (snapshot, rows):
        await asyncio.to_thread(
            run,
            pg_dump,
            "--format=custom",
            "--no-owner",
            f"--snapshot={snapshot}",
            f"--file={path}",
            database_url=database_url,
        )
    return rows


def _prove(database_url: str, server_major: int, dump: Path, rows: dict[str, int]) -> None:
    scratch = databases.named(database_url, f"{databases.name_of(database_url)}{PROOF}{uuid.uuid4().hex[:8]}")
    try:
        load(scratch, server_major, dump, rows)
    finally:
        asyncio.run(databases.drop(scratch))


def load(database_url: str, server_major: int, dump: Path, rows: dict[str, int]) -> None:
    """Restore a dump into a database that this makes, and count; stops at the first error.

    Raises BackupError where it holds other rows than it should, or contradicts itself.
    """
    asyncio.run(databases.create(database_url))
    pg_restore = tool("pg_restore", server_major)
    try:
        run(pg_restore, "--exit-on-error", "--single-transaction", "--no-owner", dump, database_url=database_url)
    except ToolError as error:
        raise BackupError(f"{dump} cannot be restored: {error}", hint=error.hint or "take another backup") from error
    found = asyncio.run(databases.counts(database_url))
    if found != rows:
        differ = ", ".join(
            f"{table} has {found.get(table, 'no')} rows, was backed up with {rows.get(table, 'none')}"
            for table in sorted({*rows, *found})
            if found.get(table) != rows.get(table)
        )
        raise BackupError(f"{dump} does not hold what was backed up: {differ}")
    if wrong := asyncio.run(databases.contradictions(database_url)):
        raise BackupError(f"the restored record contradicts itself: {'; '.join(wrong)}", hint="./ytempire check")


async def _keep_artifacts(servers: Servers, database_url: str) -> Kept:
    postgres = Postgres(database_url, Servers(db_pool_min=1, db_pool_max=1), process="backup")
    await postgres.open()
    try:
        belongings = Belongings(postgres)
        stages, bought = await belongings.of_stages(), await belongings.bought()
    finally:
        await postgres.close()
    wanted = [ref for one in stages if one.live or servers.backup_films for ref in one.files]
    return await asyncio.to_thread(
        keep, Artifacts(servers.artifacts_address, servers.artifacts_access), servers.backups_folder, (*wanted, *bought)
    )


def _archive_major(program: Path) -> int:
    return int(run(program, "--version").rpartition(") ")[2].split(".")[0])


def _copy_flat(source: Path, target: Path) -> None:
    """The files of one folder, as far as they go at this moment: a journal's are only ever appended to."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*")):
        if path.is_file():
            shutil.copyfile(path, target / path.name)


def write_settings(path: Path) -> None:
    """What differs from the defaults, and the names of the secrets that are set, without them."""
    lines = ["# Settings at the time of the backup. Secrets are not in it: set them anew.\n"]
    dot_env = _dot_env(ROOT / ".env")
    for variable in variables():
        value = os.environ.get(variable.name) or dot_env.get(variable.name, "")
        if not value or value == variable.default:
            continue
        kept_back = variable.field in _KEPT_BACK and _may_hold_a_secret(variable.field, value)
        if kept_back or masked(variable.field, value) != value:
            lines.append(f"# {variable.name} was set\n")
        else:
            lines.append(f"{variable.name}={value}\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")


def _may_hold_a_secret(field: str, value: str) -> bool:
    return not field.endswith("_url") or bool(urlsplit(value).password) or "?" in value


def _dot_env(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.removeprefix("export ").partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}


def _copy_redis(source: Path, target: Path, say: Say) -> None:
    """Redis' own files, for whoever wants to look at them: nothing is ever restored from them."""
    log = source / "appendonlydir"
    try:
        before = sorted(path.name for path in log.iterdir())
        shutil.copytree(log, target / log.name)
        if sorted(path.name for path in log.iterdir()) != before:
            shutil.rmtree(target)
            say("Redis rewrote its files meanwhile: they are not in this backup; nothing is lost by that")
    except FileNotFoundError:
        shutil.rmtree(target, ignore_errors=True)
        say("Redis' files are not here; nothing is lost by that: the record is what counts")
    except (OSError, shutil.Error) as error:
        if shutil.disk_usage(target.parent).free == 0:
            raise OSError("no space left") from error
        shutil.rmtree(target, ignore_errors=True)
        say(f"Redis' files were not copied ({error}); nothing is lost by that")


def why(error: PipelineError) -> str:
    """An error and what to do, in one line."""
    return f"{error}" + (f" ({error.hint})" if error.hint else "")
