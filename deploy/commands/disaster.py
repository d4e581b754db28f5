"""`backup`, `recover`, `validate`: a record that is kept, a machine that comes back; each prints its time."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import msgspec
import typer

from deploy.commands.terminal import FAILED, DataOption, JsonOption, data_dir, running_factory
from deploy.launch import data_directory
from deploy.launch.data_directory import Addresses, addresses
from deploy.launch.output import Output
from deploy.launch.plan import PROCFILE, ROOT, plan
from deploy.launch.supervisor import Supervisor
from deploy.recovery import backups, dumps, fresh_machine, point_in_time
from deploy.recovery.backups import Class
from schema.errors import RefusedError
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
ProcfileOption = Annotated[Path, typer.Option(help="The list of processes.", metavar="FILE")]


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
    factory, servers = running_factory(data), settings_of(data, folder)
    say = say_to(json=json)
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
    tell(
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
    servers = settings_of(data, None)
    root = (source or servers.backups_folder).absolute()
    say, began_s = say_to(json=json), time.monotonic()
    with data_directory.held(data_dir(data)) as hold:
        factory = plan(servers, hold.path, procfile)
        factory.refuse_taken_ports()
        say(f"recovering from {root} into {hold.path}")
        done = fresh_machine.recover(servers, hold.path, root, say, dump_only=dump_only)
        hold.tell(factory.redis_url, factory.database_url, servers.backups_dir)
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
        await asyncio.to_thread(_back_up, servers, factory, "daily", say_to(json=json))
        ticks = await asyncio.to_thread(_ticks, servers, factory)
        took_s = time.monotonic() - began_s
        well = all(tick.ok for tick in ticks)
        tell(
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
    ticks = _ticks(settings_of(data, folder), factory)
    well = all(tick.ok for tick in ticks)
    for tick in ticks:
        print(msgspec.json.encode(tick).decode() if json else _line(tick))
    if not json:
        end = "System fully recovered!" if well else "Recovery incomplete - manual intervention required"
        print(f"{end} ({time.monotonic() - began_s:.1f} s)")
    if not well:
        raise typer.Exit(FAILED)


def settings_of(data: Path | None, folder: Path | None) -> Servers:
    """The settings, with the data directory and the folder of backups that were asked for.

    A shell without the factory's own settings uses the folder that the running factory uses.
    """
    servers, running = environment.read().servers, addresses(data_dir(data))
    backups = str(folder.absolute()) if folder else servers.backups_dir or (running.backups_dir if running else "")
    return msgspec.structs.replace(servers, data_dir=str(data_dir(data)), backups_dir=backups)


def _is_ours(servers: Servers) -> bool:
    """Whether the record's Postgres is the one in the data directory, with an archive for its log."""
    return servers.wal_archive and (Path(servers.data_dir) / "postgres" / "archive.sh").exists()


def say_to(*, json: bool) -> Callable[[str], None]:
    """Whoever is told of each step: the screen, with the time; nobody where a program reads."""
    began_s = time.monotonic()

    def say(text: str) -> None:
        if not json:
            print(f"{time.monotonic() - began_s:6.1f} s  {text}", flush=True)

    return say


def tell(told: object, text: str, *, json: bool) -> None:
    """What came of it, for a program or for a person."""
    print(msgspec.json.encode(told).decode() if json else text, flush=True)


def _ticks(servers: Servers, factory: Addresses) -> tuple[Tick, ...]:
    # loaded late: it brings Redis' client, for which no other command waits
    from deploy.recovery.validation import validate as look  # noqa: PLC0415

    return look(servers, factory.redis_url, factory.database_url)


def _line(tick: Tick) -> str:
    return f"{tick.check + ':':<10} {'✓' if tick.ok else '✗'} {tick.found}"


def _shown(database_url: str) -> str:
    head, at, rest = database_url.rpartition("@")
    return f"{head.split('//')[0]}//{rest}" if at else database_url
