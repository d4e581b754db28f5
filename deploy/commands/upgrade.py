"""`upgrade --check`: whether this checkout may be started beside what runs, before any of it is.

It reads the database, the streams and the settings, and changes nothing. What it cannot know it does not call well: how
long a lock will be held, and what code of another release does beside ours where its events and tables are the same.
"""

from __future__ import annotations

import asyncio
import difflib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from deploy.commands.connections import PATIENCE_S, bus
from deploy.commands.terminal import FAILED, DataOption, JsonOption
from deploy.launch import procfile
from deploy.launch.data_directory import addresses
from deploy.launch.plan import PROCFILE
from schema import flow, wire
from schema.errors import ConfigurationError, RefusedError, RetryableError
from schema.events import fact as facts
from schema.record import upgrading
from schema.record.migrations import migrations
from schema.record.upgrading import AtWork, Look
from schema.release import RELEASE
from schema.settings import environment
from schema.settings.servers import Servers
from streams import names
from streams.transport.port import BusUnavailableError, Entry

if TYPE_CHECKING:
    from streams.transport.over_redis import RedisTransport

_LOOK_S: Final = 0.05
_NEVER: Final = "0-0"
_STOP_ALL: Final = "back up, halt, end every process of the factory on every host, then start this version"
_STEPS: Final = "docs/upgrade.md has the steps"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at; `hint` is what to do where it stands in the way."""

    about: str
    is_well: bool
    said: str
    hint: str = ""


def upgrade(
    check: Annotated[bool, typer.Option("--check", help="Look, and say whether it may be started.")] = False,  # noqa: FBT002 - a flag of the command line
    env: Annotated[
        Path | None, typer.Option("--env", help="Settings of the processes, where a file has them.", metavar="FILE")
    ] = None,
    data: DataOption = None,
    *,
    json: JsonOption = False,
) -> int:
    """Say whether this checkout may be started beside what runs.

    Reads the database, the streams and the settings; changes nothing, and applies no migration. Looked at are:

    \b
      migrations  what the database lacks, or has beyond this checkout. `expand` only adds, and older
                  processes go on beside it; `contract` drops, renames or tightens: they have to be gone
      processes   which releases are at work now, on this host and on others
      events      in a version that this release does not read, waiting or just written
      settings    that this release does not have, in the environment and in --env FILE

    \b
      ./ytempire upgrade --check
      ./ytempire upgrade --check --env /etc/ytempire/env --json

    Exit codes: 0 it may be started; 1 something stands in the way, or a server does not answer; 2 asked wrongly. The
    steps of an upgrade, on one host and on several, are in docs/upgrade.md.
    """  # noqa: D301 - how the command line is told to keep lines as they are
    if not check:
        raise RefusedError("nothing upgrades by itself: --check is what there is", hint="./ytempire upgrade --check")
    environ = {**os.environ, **(_pairs(env) if env else {})}
    gone = environment.unknown(environ)
    settings = environment.read({name: value for name, value in environ.items() if name not in gone})
    redis_url, database_url = _addresses(settings.servers, data)
    look = asyncio.run(upgrading.look(database_url))
    running = _processes(look)
    findings = (_migrations(look, running), _running(running), _events(redis_url), _settings(gone))
    if json:
        for finding in findings:
            print(msgspec.json.encode(finding).decode())
    may = all(finding.is_well for finding in findings)
    if not json:
        _print(findings, may=may, running=bool(running))
    return 0 if may else FAILED


def _print(findings: Sequence[Finding], *, may: bool, running: bool) -> None:
    for finding in findings:
        print(f"{'ok ' if finding.is_well else 'BAD'} {finding.about:<10} {finding.said}")
        if finding.hint and not finding.is_well:
            print(f"{'':14} try: {finding.hint}")
    beside = "beside what runs" if running else "here, where nothing runs"
    print(f"release {RELEASE} {'may be started' if may else 'must not be started yet'} {beside}; {_STEPS}")


def _pairs(path: Path) -> dict[str, str]:
    """What a file of settings says, read as systemd reads it: no shell, no quotes taken off."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _addresses(servers: Servers, data: Path | None) -> tuple[str, str]:
    """Redis and Postgres: as the settings say, else as the factory of the data directory wrote down."""
    folder = (data or Path(servers.data_dir)).absolute()
    found = addresses(folder)
    redis_url = servers.redis_url or (found.redis_url if found else "")
    database_url = servers.database_direct_url or servers.database_url or (found.database_url if found else "")
    if not redis_url or not database_url:
        raise ConfigurationError(
            f"no factory runs on the data directory {folder}: there is nothing to start beside",
            hint="--data DIR, or --env FILE, or set REDIS_URL and DATABASE_URL",
        )
    return redis_url, database_url


def _processes(look: Look) -> tuple[AtWork, ...]:
    """Those of the Procfile; what else bears our name is a command that a person has just typed."""
    lines = {line.name for line in procfile.read(PROCFILE)}
    return tuple(session for session in look.sessions if session.name in lines)


def _migrations(look: Look, running: Sequence[AtWork]) -> Finding:
    found = upgrading.difference(migrations(), look.applied)
    told = [upgrading.told(one) for one in found.pending]
    breaking = [upgrading.told(one) for one in found.pending if one.kind == "contract"]
    beyond = [f"{one.number} {one.name}" for one in found.newer if one.kind == "contract"]
    if found.changed:
        which = ", ".join(f"{one.number} {one.name}" for one in found.changed)
        return _bad("migrations", f"made with other texts of {which}", "restore these files as they were")
    if beyond:
        return _bad("migrations", f"made by a newer release, beyond this one: {', '.join(beyond)}", "take that release")
    if breaking and running:
        return _bad("migrations", f"what runs cannot live with {'; '.join(breaking)}", _STOP_ALL)
    if not look.applied:
        return Finding("migrations", is_well=True, said=f"an empty database: the first process applies {len(told)}")
    newer = ", ".join(f"{one.number} {one.name}" for one in found.newer)
    said = [f"{len(look.applied)} applied"]
    said += [f"to come: {'; '.join(told)}"] if told else []
    said += [f"beyond this release, which can live with them: {newer}"] if newer else []
    return Finding("migrations", is_well=True, said=", ".join(said))


def _running(running: Sequence[AtWork]) -> Finding:
    count = Counter((session.release, session.host) for session in running)
    told = [
        f"{processes} of {f'release {release}' if release else 'a release that does not tell'}"
        + (f" on {host}" if host else "")
        for (release, host), processes in sorted(count.items())
    ]
    return Finding("processes", is_well=True, said=", ".join(told) or "none is at work")


def _events(redis_url: str) -> Finding:
    with bus(redis_url) as transport:
        try:
            strange = _strange(transport)
        except BusUnavailableError as error:
            raise RetryableError(f"Redis does not answer: {error}", hint="./ytempire doctor") from error
    if not strange:
        return Finding(
            "events", is_well=True, said=f"all that wait speak version {facts.VERSION}, as this release does"
        )
    told = ", ".join(
        f"{count} of version {version} in {stream}" for (stream, version), count in sorted(strange.items())
    )
    return _bad(
        "events",
        f"{told}; this release speaks version {facts.VERSION}",
        "./ytempire pause, until nothing is in hand; what was given up on goes back with ./ytempire requeue",
    )


def _strange(transport: RedisTransport) -> Counter[tuple[str, str]]:
    """Events between stages that we would give up on: what a group still has, and the newest of each stream."""
    found: dict[tuple[str, str], Entry] = {}
    for stage in flow.STAGES:
        newest = transport.last_generated_id(stage.stream, wait_s=PATIENCE_S)
        entries = transport.held(names.stage_subscription(stage))
        # a stream that only its groups have made was never written to
        entries += transport.observe({stage.stream: _before(newest)}, _LOOK_S) if newest not in {None, _NEVER} else []
        found |= {(entry.stream, entry.id): entry for entry in entries}
    versions = ((entry.origin_stream, facts.spoken(entry.fields)) for entry in found.values())
    return Counter((stream, wire.shown(version)) for stream, version in versions if version != b"%d" % facts.VERSION)


def _before(entry_id: str) -> str:
    """The id that an entry with this one follows."""
    ms, _, number = entry_id.partition("-")
    return f"{ms}-{int(number) - 1}" if int(number) else f"{int(ms) - 1}-{2**64 - 1}"


def _settings(gone: Sequence[str]) -> Finding:
    if not gone:
        return Finding("settings", is_well=True, said="this release has all that are set")
    known = [variable.name for variable in environment.variables()]
    told = []
    for name in gone:
        near = difflib.get_close_matches(name, known, n=1)
        told.append(f"{name} (near: {near[0]})" if near else name)
    return _bad(
        "settings", f"this release does not have {', '.join(told)}", "see CHANGELOG.md; take them out, or rename"
    )


def _bad(about: str, said: str, hint: str) -> Finding:
    return Finding(about, is_well=False, said=said, hint=hint)
