"""Restores a backup: into a database of its own first, which takes the record's place only when it is whole.

Nothing is touched before the checksums are right and the schema is one that this version knows. Then, still beside the
record: every row is counted, an older schema is brought up to date, the money journal teaches what was paid since, and
artifacts come back; stages whose files are nowhere are opened again. Only then the names change, and the old record is
kept aside. Any error leaves all as it was. Streams are not restored: integrity publishes what the record owes.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from deploy.recovery import backups
from deploy.recovery.artifacts import bring_back
from deploy.recovery.backups import Backup, BackupError
from deploy.recovery.dumps import JOURNAL, load
from schema.artifacts import Artifacts
from schema.money.journal import Imported, Journal, import_newer
from schema.record import databases
from schema.record.belongings import Belongings, to_do_again
from schema.record.postgres import Postgres
from schema.settings.servers import Servers

Say = Callable[[str], None]
#: Follows the record's name in that of the database which a restore fills; what is left of it belonged to a killed one.
RESTORING: Final = "_restoring"
#: Likewise of the records that a restored one took the place of, before the moment.
ASIDE: Final = "_before_"


class Restored(msgspec.Struct, frozen=True):
    """What came of a restore."""

    #: The moment of the record that stands now.
    at: datetime
    rows: int
    migrated: int
    journal: Imported
    #: Stages of unfinished videos that are done anew, since their files are gone.
    opened_again: tuple[str, ...]
    #: The database that was the record before; empty where there was none.
    aside: str
    took_s: float


class Mended(msgspec.Struct, frozen=True):
    """What a restored record had to be taught."""

    journal: Imported
    opened_again: tuple[str, ...]


def restore(servers: Servers, database_url: str, backup: Backup, say: Say, *, hold: str = "") -> Restored:
    """Put a backup in the place of the record.

    `hold`: the reason of a halt that stands in it until an operator resumes; give one where processes run. Raises
    BackupError, ToolError, ConfigurationError or RecordUnavailableError, and nothing has changed then.
    """
    began_s = time.monotonic()
    refuse(backup)
    found = asyncio.run(databases.server(databases.named(database_url, "postgres")))
    name = databases.name_of(database_url)
    scratch = databases.named(database_url, f"{name}{RESTORING}")
    try:
        say(f"restoring {backup.folder.name} ({backup.manifest.kind}) beside the record")
        major = max(found.major, backup.manifest.tool_major)
        load(scratch, major, backup.folder / backups.DUMP, backup.manifest.rows)
        migrated = databases.newest_schema() - backup.manifest.schema
        mended = asyncio.run(mend(servers, scratch, backup, say))
        if hold:
            asyncio.run(databases.hold(scratch, hold))
        aside = f"{name}{ASIDE}{datetime.now(UTC):%Y%m%dt%H%M%S%fz}"
        had_one = asyncio.run(databases.exists(database_url))
        asyncio.run(databases.replace(database_url, by=f"{name}{RESTORING}", aside=aside))
    except BaseException:
        asyncio.run(databases.drop(scratch))
        raise
    if had_one:
        say(f"the record that was is kept as the database {aside}")
    return Restored(
        at=backup.manifest.at,
        rows=sum(backup.manifest.rows.values()),
        migrated=migrated,
        journal=mended.journal,
        opened_again=mended.opened_again,
        aside=aside if had_one else "",
        took_s=time.monotonic() - began_s,
    )


def refuse(backup: Backup) -> None:
    """Raise BackupError for a backup that is not whole, or that a newer version made."""
    backups.check(backup)
    if backup.manifest.schema > databases.newest_schema():
        raise BackupError(
            f"{backup.folder} was made by a newer version: its schema is {backup.manifest.schema}, this version knows "
            f"{databases.newest_schema()}",
            hint="restore it with the version that made it, or a newer one",
        )


async def mend(servers: Servers, database_url: str, backup: Backup | None, say: Say) -> Mended:
    """Bring a restored record up to date with what outlived it, before any process admits anything from it.

    `backup`: whose journal and artifacts are brought back where this machine has none.
    """
    postgres = Postgres(database_url, Servers(db_pool_min=1, db_pool_max=1), process="restore")
    await postgres.open()  # migrates
    try:
        journal = Path(servers.data_dir) / JOURNAL
        if backup is not None:
            _merge_journal(backup.folder / JOURNAL, journal)
        imported = await import_newer(Journal(journal), postgres)
        say(
            f"money journal: {imported.sent} calls and {imported.settled} bills that the backup did not know"
            + (f", {imported.torn_lines} torn lines passed over" if imported.torn_lines else "")
        )
        belongings = Belongings(postgres)
        stages = await belongings.of_stages()
        refs = [*(ref for one in stages for ref in one.files), *await belongings.bought()]
        root = servers.backups_folder if backup is None else backup.folder.parent.parent
        missing = await asyncio.to_thread(
            bring_back, Artifacts(servers.artifacts_address, servers.artifacts_access), root, refs
        )
    finally:
        await postgres.close()
    again = to_do_again(stages, missing)
    await databases.reopen(database_url, again)
    for video, stage in again:
        say(f"{stage} of {video} is done again: its files are gone")
    return Mended(imported, tuple(f"{video} {stage}" for video, stage in again))


def _merge_journal(source: Path, target: Path) -> None:
    """Files of the journal that this machine has not, or has only the beginning of."""
    for path in sorted(source.glob("*.jsonl")):
        there = target / path.name
        if not there.exists() or there.stat().st_size < path.stat().st_size:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, there.with_suffix(".part"))
            there.with_suffix(".part").replace(there)
