"""`backup`, `restore`, `recover`, `validate`: the ways out when something is gone; each prints its time."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import msgspec
import typer

from deploy.commands import control
from deploy.commands.connections import bus
from deploy.commands.terminal import FAILED, DataOption, JsonOption, data_dir, running_factory
from deploy.launch import data_directory
from deploy.launch.data_directory import Addresses
from deploy.launch.output import Output
from deploy.launch.plan import PROCFILE, ROOT, plan
from deploy.launch.supervisor import Supervisor
from deploy.recovery import backups, dumps, fresh_machine, point_in_time, requests
from deploy.recovery import restore as restoring
from deploy.recovery.backups import Backup, BackupError, Class
from schema.errors import ConfigurationError, PipelineError, RecordUnavailableError, RefusedError
from schema.record import databases
from schema.settings import environment
from schema.settings.servers import Servers

if TYPE_CHECKING:
    from deploy.recovery.validation import Tick

ClassOption = Annotated[
    str, typer.Option("--class", help="hourly (24 are kept), daily (7) or weekly (4).", metavar="CLASS")
]
BackupsOption = Annotated[
    Path | None,
    typer.Option(
        "--backups", help="Folder of backups; else YTEMPIRE_BACKUPS_DIR, else in the data directory.", metavar="DIR"
    ),
]
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
ProcfileOption = Annotated[Path, typer.Option(help="The list of processes.", metavar="FILE")]
ListOption = Annotated[bool, typer.Option("--list", help="Show what there is to restore.")]
#: How long running work may take to come to its next safe point.
_QUIET_WITHIN_S, _LOOK_S = 30.0, 0.2


def backup(
    kind: ClassOption = "hourly",
    data: DataOption = None,
    folder: BackupsOption = None,
    json: JsonOption = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Back up the record, proved by restoring it; journal, settings without secrets and artifacts go with it.

    A daily one also takes a base backup where Postgres is ours: from then on any moment can be restored.
    """
    wanted: Class | None = next((known for known in get_args(Class) if known == kind), None)
    if wanted is None:
        raise RefusedError(
            f"--class is {kind!r}: expected hourly, daily or weekly", hint="./ytempire backup --class daily"
        )
    factory, servers = running_factory(data), _servers(data, folder)
    say = _say(json=json)
    say(f"pg_dump --format=custom --file={backups.DUMP} {_shown(factory.database_url)}")
    made, base = _back_up(servers, factory, wanted, say)
    told = {
        "backup": str(made.backup.folder),
        "kind": kind,
        "at": made.backup.manifest.at,
        "rows": sum(made.backup.manifest.rows.values()),
        "size_bytes": made.backup.size_bytes,
        "copied_bytes": made.copied_bytes,
        "missing": made.backup.manifest.missing,
        "took_s": round(made.took_s, 3),
        "proof_s": round(made.proof_s, 3),
        "gone": [str(path) for path in made.gone],
        "base": str(base.folder) if base else None,
    }
    _tell(
        told,
        f"backup: {made.backup.folder}\n{told['rows']} rows, {made.backup.size_bytes / 1e6:.1f} MB, proved; "
        f"took {made.took_s:.1f} s, of which the proof {made.proof_s:.1f} s",
        json=json,
    )


def _back_up(
    servers: Servers, factory: Addresses, kind: Class, say: Callable[[str], None]
) -> tuple[dumps.Made, point_in_time.Base | None]:
    made = dumps.make(servers, factory.database_url, kind, say)
    if kind != "daily" or not _is_ours(servers):
        point_in_time.let_go(servers.backups_folder)
        return made, None
    folder = Path(servers.data_dir)
    return made, point_in_time.make(servers.backups_folder, folder, factory.database_url, say)


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
    servers = _servers(data, folder)
    if show:
        _list(servers, json=json)
        return
    if to and backup:
        raise RefusedError("a backup and --to exclude each other", hint="./ytempire restore --to latest")
    say = _say(json=json)
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
    _tell(
        {**msgspec.to_builtins(done), "age_s": round(lost_s, 1)},
        f"restored the record of {done.at:%Y-%m-%d %H:%M:%S} UTC ({_span(lost_s)} ago), {done.rows} rows, "
        f"in {done.took_s:.1f} s\n{after}",
        json=json,
    )


def recover(
    source: Annotated[Path | None, typer.Option("--from", help="Folder of backups.", metavar="DIR")] = None,
    data: DataOption = None,
    *,
    dump_only: Annotated[
        bool, typer.Option("--dump-only", help="From the newest dump, though the log reaches further.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="End the factory again when it is validated.")] = False,
    procfile: ProcfileOption = PROCFILE,
    json: JsonOption = False,
) -> None:
    """From a folder of backups and an empty data directory to a running, validated factory, in one command.

    It takes the newest record that can be had, starts the factory here as `up` does, and shows the ticks of `validate`.
    """
    servers = _servers(data, None)
    root = (source or servers.backups_folder).absolute()
    say, began_s = _say(json=json), time.monotonic()
    with data_directory.held(data_dir(data)) as hold:
        factory = plan(servers, hold.path, procfile)
        factory.refuse_taken_ports()
        say(f"recovering from {root} into {hold.path}")
        done = fresh_machine.recover(servers, hold.path, root, say, dump_only=dump_only)
        hold.tell(factory.redis_url, factory.database_url)
        say(f"the record of {done.at:%Y-%m-%d %H:%M:%S} UTC is back, by {done.way}; starting the factory")
        with Output(hold.path / "logs" / "pipeline.log", echo=False) as output:
            supervisor = Supervisor(factory.servers, factory.workers, output)
            addresses = Addresses(0, factory.redis_url, factory.database_url)
            finish = partial(_finish, supervisor, servers, addresses, done, began_s, once=once, json=json)
            if supervisor.run(finish) is False:
                raise typer.Exit(FAILED)


async def _finish(
    supervisor: Supervisor,
    servers: Servers,
    factory: Addresses,
    done: fresh_machine.Recovered,
    began_s: float,
    *,
    once: bool,
    json: bool,
) -> bool:
    async with supervisor.running():
        # the new machine's first: the old folder may be a copy, or be gone tomorrow
        await asyncio.to_thread(_back_up, servers, factory, "daily", _say(json=json))
        ticks = await asyncio.to_thread(_ticks, servers, factory)
        took_s = time.monotonic() - began_s
        well = all(tick.ok for tick in ticks)
        _tell(
            {**msgspec.to_builtins(done), "validated": well, "ticks": ticks, "took_s": round(took_s, 3)},
            "\n".join((*map(_line, ticks), f"recovered and {'validated' if well else 'NOT whole'} in {took_s:.1f} s")),
            json=json,
        )
        if not once:
            show = shlex.join([str(ROOT / "ytempire"), "env", "--data", servers.data_dir])
            print(f'in another shell: eval "$({show})"\nready', flush=True)
            await asyncio.Event().wait()
        return well


def validate(data: DataOption = None, folder: BackupsOption = None, json: JsonOption = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Tick by tick whether the factory is whole; exit code 1 where it is not."""
    factory = running_factory(data)
    began_s = time.monotonic()
    ticks = _ticks(_servers(data, folder), factory)
    well = all(tick.ok for tick in ticks)
    for tick in ticks:
        print(msgspec.json.encode(tick).decode() if json else _line(tick))
    if not json:
        end = "System fully recovered!" if well else "Recovery incomplete - manual intervention required"
        print(f"{end} ({time.monotonic() - began_s:.1f} s)")
    if not well:
        raise typer.Exit(FAILED)


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
    _tell(
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
        _tell(told, f"{one.manifest.at:%Y-%m-%d %H:%M:%S}  {one.manifest.kind:<6}  {one.folder}", json=json)
    for base in point_in_time.listed(servers.backups_folder):
        until = point_in_time.reaches(servers.backups_folder, base)
        told = {"base": str(base.folder), "from": base.ended_at, "until": until}
        _tell(told, f"{base.ended_at:%Y-%m-%d %H:%M:%S}  any moment until {until:%Y-%m-%d %H:%M:%S}", json=json)


def _newest(servers: Servers) -> Backup:
    if not (found := backups.listed(servers.backups_folder)):
        raise BackupError(f"there is no backup in {servers.backups_folder}", hint="./ytempire backup")
    return found[-1]


def _running(data: Path | None) -> Addresses | None:
    try:
        return running_factory(data)
    except ConfigurationError:
        return None


def _servers(data: Path | None, folder: Path | None) -> Servers:
    servers = environment.read().servers
    chosen = {"data_dir": str(data_dir(data)), **({"backups_dir": str(folder.absolute())} if folder else {})}
    return msgspec.structs.replace(servers, **chosen)


def _is_ours(servers: Servers) -> bool:
    """Whether the record's Postgres is the one in the data directory, with an archive for its log."""
    return servers.wal_archive and (Path(servers.data_dir) / "postgres" / "archive.sh").exists()


def _say(*, json: bool) -> Callable[[str], None]:
    began_s = time.monotonic()

    def say(text: str) -> None:
        if not json:
            print(f"{time.monotonic() - began_s:6.1f} s  {text}", flush=True)

    return say


def _tell(told: object, text: str, *, json: bool) -> None:
    print(msgspec.json.encode(told).decode() if json else text, flush=True)


def _ticks(servers: Servers, factory: Addresses) -> tuple[Tick, ...]:
    # loaded late: it brings Redis' client, for which no other command waits
    from deploy.recovery.validation import validate as look  # noqa: PLC0415

    return look(servers, factory.redis_url, factory.database_url)


def _line(tick: Tick) -> str:
    return f"{tick.check + ':':<10} {'✓' if tick.ok else '✗'} {tick.found}"


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _shown(database_url: str) -> str:
    head, at, rest = database_url.rpartition("@")
    return f"{head.split('//')[0]}//{rest}" if at else database_url
