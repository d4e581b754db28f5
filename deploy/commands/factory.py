"""`demo`, `up`, `env` and `cli`: the factory for one film or in the foreground, and the shell that talks to it."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import msgspec
import typer

from actors.providers.script.samples import sample_for, samples
from deploy.commands import redis_cli
from deploy.commands.progress import Screen
from deploy.commands.terminal import INTERRUPTED, DataOption, data_dir, running_factory
from deploy.commands.videos import NotesOption, read_notes
from deploy.launch import data_directory, postgres
from deploy.launch.demo import Wish, make
from deploy.launch.output import Output
from deploy.launch.plan import PROCFILE, ROOT, plan
from deploy.launch.supervisor import Supervisor
from schema.errors import ConfigurationError, RefusedError
from schema.settings import environment

#: How long servers of a factory that was killed may take to give their ports back.
_PREDECESSOR_S = 15.0
_WRAPPER = """#!/bin/sh
# redis-cli that finds the factory's Redis; made anew by `ytempire env`
{exports}exec {command} "$@"
"""


def demo(
    topic: Annotated[str, typer.Argument(help="What it is about; else a sample article.", metavar="[TOPIC]")] = "",
    notes: NotesOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the film.", metavar="DIR")] = Path("videos"),
    length: Annotated[str, typer.Option(help="Such as 30s.", metavar="TIME")] = "",
    aspect: Annotated[str, typer.Option(help="16:9 or 9:16.", metavar="W:H")] = "",
) -> None:
    """Make one video, from nothing.

    Runs the whole factory on free ports in a temporary folder and shows its progress; the last line is `video: PATH`.
    """
    fields = {"topic": topic or samples()[0].topic, "notes": read_notes(notes), "length": length, "aspect": aspect}
    if not fields["notes"] and sample_for(fields["topic"]) is None:
        known = "; ".join(f'"{sample.topic}"' for sample in samples())
        raise RefusedError(f"there is no sample article on {topic!r}", hint=f"--notes FILE, or one of {known}")
    with Screen() as screen:
        screen.say(f"topic: {fields['topic']}")
        wish = Wish({name: text for name, text in fields.items() if text}, out)
        film = make(wish, environment.read().servers, screen.show)
    if film is None:
        raise typer.Exit(INTERRUPTED)
    print(f"video: {film}")


def up(
    data: DataOption = None,
    procfile: Annotated[Path, typer.Option(help="The list of processes.", metavar="FILE")] = PROCFILE,
    only: Annotated[
        str, typer.Option(help="Run these of them, by commas; else YTEMPIRE_ACTORS, else all.", metavar="NAMES")
    ] = "",
) -> None:
    """Run the factory here, until Ctrl-C.

    It prints `ready` when it takes requests. It brings its own Valkey and Postgres unless REDIS_URL or DATABASE_URL say
    where yours are. Everything it keeps is in the data directory, all that it says in logs/pipeline.log there. What
    dies is started again.

    One host of several runs its share: YTEMPIRE_ACTORS=render,quality on it, or --only render,quality, and REDIS_URL,
    DATABASE_URL and YTEMPIRE_ARTIFACTS_URL the same on all.
    """
    servers = environment.read().servers
    servers = msgspec.structs.replace(servers, actors=only or servers.actors)
    with data_directory.held(data_dir(data)) as hold:
        factory = plan(servers, hold.path, procfile)
        factory.refuse_taken_ports(patience_s=_PREDECESSOR_S if hold.was_killed else 0)
        hold.tell(factory.redis_url, factory.database_url, str(servers.backups_folder) if servers.backups_dir else "")
        with Output(hold.path / "logs" / "pipeline.log", echo=True) as output:
            for name, url in (("REDIS_URL", servers.redis_url), ("DATABASE_URL", servers.database_url)):
                if url:
                    output.line(
                        "launcher", f"{name} is set: no server of our own, but {urlsplit(url).netloc.split('@')[-1]}"
                    )
            if servers.actors:
                names = ", ".join(worker.name for worker in factory.workers)
                output.line("launcher", f"this host runs {names}; the others of the Procfile run elsewhere")
            supervisor = Supervisor(factory.servers, factory.workers, output)
            supervisor.run(partial(_until_ended, supervisor, hold.path))


async def _until_ended(supervisor: Supervisor, folder: Path) -> None:
    async with supervisor.running():
        show = shlex.join([str(ROOT / "ytempire"), "env", "--data", str(folder)])
        print(f'in another shell: eval "$({show})"', flush=True)
        print("ready", flush=True)
        await asyncio.Event().wait()


def env(data: DataOption = None) -> None:
    """Print shell exports for psql and redis-cli.

    After eval "$(./ytempire env)" they, pg_dump and the others find the factory that runs.
    """
    factory = running_factory(data)
    tools = [str(_redis_cli_wrapper(data_dir(data) / "bin", factory.redis_url).parent)]
    if (embedded := _embedded_tools()) is not None:
        tools.append(str(embedded))
    parts = urlsplit(factory.database_url)
    exports = {
        "PGHOST": parts.hostname or "127.0.0.1",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or postgres.NAME),
        "PGDATABASE": parts.path.strip("/") or postgres.NAME,
        **({"PGPASSWORD": unquote(parts.password)} if parts.password else {}),
        "REDIS_URL": factory.redis_url,
        "DATABASE_URL": factory.database_url,
    }
    for name, value in exports.items():
        print(f"export {name}={shlex.quote(value)}")
    print(f'export PATH={shlex.quote(":".join(tools))}:"$PATH"')


def cli(
    args: Annotated[
        list[str] | None, typer.Argument(help="As redis-cli takes them; quote '*'.", metavar="ARGS")
    ] = None,
    data: DataOption = None,
) -> None:
    """Talk to Redis as redis-cli does.

    For machines without it: ./ytempire cli XADD stream:intake '*' topic "Why octopuses have three hearts"
    """
    raise typer.Exit(redis_cli.main(args or [], running_factory(data).redis_url))


def _embedded_tools() -> Path | None:
    try:
        return postgres.tools_folder()
    except ConfigurationError:
        return None  # a machine without our Postgres brings its own tools


def _redis_cli_wrapper(folder: Path, url: str) -> Path:
    """Write a `redis-cli` that knows where the server is: the installed one, else ours.

    A password is in the file, which nobody else can read, and not on the command line, which everybody can.
    """
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    options = ["-u", bare, *(["--user", unquote(parts.username)] if parts.username else [])]
    command = [sys.executable, "-m", "deploy.commands.redis_cli", *options]
    exports = {"PYTHONPATH": str(ROOT)}
    if (installed := _installed_redis_cli(folder)) is not None:
        command, exports = [str(installed), *options], {}
    if parts.password:
        exports["REDISCLI_AUTH"] = unquote(parts.password)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"redis-cli.{os.getpid()}"
    part.touch(mode=0o700)
    lines = "".join(f"export {name}={shlex.quote(text)}\n" for name, text in exports.items())
    part.write_text(_WRAPPER.format(exports=lines, command=shlex.join(command)), encoding="utf-8")
    return part.replace(folder / "redis-cli")


def _installed_redis_cli(but_not_in: Path) -> Path | None:
    for folder in os.get_exec_path():
        found = Path(folder) / "redis-cli"
        if folder and found.parent.absolute() != but_not_in and os.access(found, os.X_OK):
            return found
    return None
