"""`restore`: a backup, or a moment of the past, in the place of the record; under a factory only when halted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from deploy.commands import control
from deploy.commands.connections import bus
from deploy.commands.disaster import BackupsOption, say_to, settings_of, tell
from deploy.commands.terminal import DataOption, JsonOption, running_factory
from deploy.launch import data_directory
from deploy.launch.data_directory import Addresses
from deploy.recovery import backups, dumps, fresh_machine, point_in_time, requests
from deploy.recovery import restore as restoring
from deploy.recovery.backups import Backup, BackupError
from schema.errors import ConfigurationError, PipelineError, RecordUnavailableError, RefusedError
from schema.record import databases
from schema.settings.servers import Servers

YesOption = Annotated[bool, typer.Option("--yes", help="Halt the factory for it.")]
FileArgument = Annotated[
    Path | None, typer.Argument(help="A backup's folder, or the dump in it; else the newest.", metavar="[BACKUP]")
]
ToOption = Annotated[
    str,
    typer.Option(
        "--to", help="A moment, as 2026-11-25T14:30 (UTC), or `latest`; from base backup and log.", metavar="TIME"
    ),
]
ListOption = Annotated[bool, typer.Option("--list", help="Show what there is to restore.")]
#: How long running work may take to come to its next safe point.
_QUIET_WITHIN_S, _LOOK_S = 30.0, 0.2


def restore(
    backup: FileArgument = None,
    to: ToOption = "",
    data: DataOption = None,
    folder: BackupsOption = None,
    *,
    yes: YesOption = False,
    show: ListOption = False,
    json: JsonOption = False,
) -> None:
    """Put a backup, or a moment of the past, in the place of the record; the old record is kept aside.

    While the factory runs it must be halted first, or say --yes; it then stands still until `resume`. Where it does not
    run, the record is ready for the next `up`. A moment of the past needs a factory that does not run.
    """
    servers = settings_of(data, folder)
    if show:
        _list(servers, json=json)
        return
    if to and backup:
        raise RefusedError("a backup and --to exclude each other", hint="./ytempire restore --to latest")
    say = say_to(json=json)
    if to:
        _restore_moment(servers, to, say, json=json)
        return
    chosen = backups.read(backup) if backup else _newest(servers)
    restoring.refuse(chosen)
    say(f"pg_restore --exit-on-error --single-transaction --dbname=... {chosen.folder / backups.DUMP}")
    if (factory := _running(data)) is not None:
        _quiet(factory, yes=yes, json=json)
        reason = f"restored from {chosen.folder.name}: look first, then resume"
        done = restoring.restore(servers, factory.database_url, chosen, say, hold=reason)
        _ask_again(factory.redis_url, factory.database_url, done.at, say)
        _back_up_anew(servers, factory.database_url, say)
        after = "the factory stands still; go on with: ./ytempire resume"
    else:
        where = Path(servers.data_dir)
        with data_directory.held(where), fresh_machine.record_running(servers, where) as database_url:
            done = restoring.restore(servers, database_url, chosen, say)
            with fresh_machine.bus_running(where) as redis_url:
                _ask_again(redis_url, database_url, done.at, say)
            _back_up_anew(servers, database_url, say)
        after = "go on with: ./ytempire up"
    lost_s = (datetime.now(UTC) - done.at).total_seconds()
    tell(
        {**msgspec.to_builtins(done), "age_s": round(lost_s, 1)},
        f"restored the record of {done.at:%Y-%m-%d %H:%M:%S} UTC ({_span(lost_s)} ago), {done.rows} rows, "
        f"in {done.took_s:.1f} s\n{after}",
        json=json,
    )


def _restore_moment(servers: Servers, to: str, say: Callable[[str], None], *, json: bool) -> None:
    moment = None if to == "latest" else _moment(to)
    folder = Path(servers.data_dir)
    with data_directory.held(folder):
        done = point_in_time.replay(servers.backups_folder, folder, servers.backups_folder / "wal", say, to=moment)
        with fresh_machine.record_running(servers, folder) as database_url:
            found = backups.listed(servers.backups_folder)
            mended = asyncio.run(restoring.mend(servers, database_url, found[-1] if found else None, say))
            if moment is None and (folder / "valkey").exists():
                with fresh_machine.bus_running(folder) as redis_url:
                    _ask_again(redis_url, database_url, point_in_time.reaches(servers.backups_folder, done.base), say)
            _back_up_anew(servers, database_url, say)
    tell(
        {
            "to": to,
            "base": str(done.base.folder),
            "aside": done.aside and str(done.aside),
            "took_s": round(done.took_s, 3),
        }
        | msgspec.to_builtins(mended),
        f"restored the record of {to} in {done.took_s:.1f} s\ngo on with: ./ytempire up",
        json=json,
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError(
            f"--to is {text!r}: expected a moment, or `latest`", hint="./ytempire restore --to 2026-11-25T14:30"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > datetime.now(UTC) + timedelta(seconds=1):
        raise RefusedError(f"--to is {text!r}, which is still to come", hint="./ytempire restore --to latest")
    return moment


def _quiet(factory: Addresses, *, yes: bool, json: bool) -> None:
    """Refuse a factory that admits, or halt it; then wait until running work has come to a safe point."""
    try:
        halted, busy = asyncio.run(databases.at_work(factory.database_url))
    except RecordUnavailableError as broken:
        if not yes:
            raise RefusedError(f"is the factory halted? {broken}", hint="./ytempire restore --yes") from broken
        # the streams take a halt that the record cannot
        control.send(factory, [control.understood({"type": "halt", "reason": "restore"})])
        return
    if not halted and not yes:
        raise RefusedError(
            "the factory is not halted: a record is not exchanged under running work",
            hint='./ytempire halt --reason "restore", or `restore --yes`, which does it',
        )
    if not halted:
        control.give(factory, json=json, type="halt", reason="restore")
    until_s = time.monotonic() + _QUIET_WITHIN_S
    while busy and time.monotonic() < until_s:
        time.sleep(_LOOK_S)
        _, busy = asyncio.run(databases.at_work(factory.database_url))


def _ask_again(redis_url: str, database_url: str, since: datetime, say: Callable[[str], None]) -> None:
    """Requests that came after the backup: asked again, where Redis still has them."""
    with bus(redis_url) as transport:
        found = asyncio.run(requests.forgotten(transport, database_url, since))
        requests.ask_again(transport, found)
    say(f"requests that came after it and are asked again: {len(found)}")


def _back_up_anew(servers: Servers, database_url: str, say: Callable[[str], None]) -> None:
    """From now on the newest backup is of this record, and not of the one that was given up."""
    try:
        dumps.make(servers, database_url, "hourly", say)
    except PipelineError as error:
        say(f"it is in no backup yet: {dumps.why(error)}")


def _list(servers: Servers, *, json: bool) -> None:
    for one in backups.listed(servers.backups_folder):
        told = {
            "backup": str(one.folder),
            "kind": one.manifest.kind,
            "at": one.manifest.at,
            "size_bytes": one.size_bytes,
        }
        tell(told, f"{one.manifest.at:%Y-%m-%d %H:%M:%S}  {one.manifest.kind:<6}  {one.folder}", json=json)
    for base in point_in_time.listed(servers.backups_folder):
        until = point_in_time.reaches(servers.backups_folder, base)
        told = {"base": str(base.folder), "from": base.ended_at, "until": until}
        tell(told, f"{base.ended_at:%Y-%m-%d %H:%M:%S}  any moment until {until:%Y-%m-%d %H:%M:%S}", json=json)


def _newest(servers: Servers) -> Backup:
    if not (found := backups.listed(servers.backups_folder)):
        raise BackupError(f"there is no backup in {servers.backups_folder}", hint="./ytempire backup")
    return found[-1]


def _running(data: Path | None) -> Addresses | None:
    try:
        return running_factory(data)
    except ConfigurationError:
        return None


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
