"""What a factory consists of: the servers it must bring itself, and the processes of the Procfile, with their ports.

A plan starts nothing; it refuses a port that is taken before anything is started, naming the setting.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TypeAlias

import msgspec

from deploy.launch import postgres, procfile, valkey
from deploy.launch.ports import is_free, next_free
from deploy.launch.probes import exporter_answers
from deploy.launch.program import Program
from schema.errors import ConfigurationError
from schema.settings.servers import Servers

#: Where the packages are: what a child needs on its Python path.
ROOT = Path(__file__).resolve().parents[2]
PROCFILE = ROOT / "Procfile"
_POLL_S = 0.05
#: Lines of the Procfile that run here, with their places in it.
Share: TypeAlias = tuple[tuple[int, procfile.Line], ...]


class NeededPort(msgspec.Struct, frozen=True):
    """A port that something of ours will listen on."""

    port: int
    setting: str
    user: str
    #: What to do instead, beside choosing another port.
    instead: str = ""


class Plan(msgspec.Struct, frozen=True):
    """Servers, processes, ports and addresses of one factory; the addresses are those for people.

    Processes come to a Redis of ours under a name and a password of their own, which change with each plan.
    """

    servers: tuple[Program, ...]
    workers: tuple[Program, ...]
    ports: tuple[NeededPort, ...]
    redis_url: str
    database_url: str

    def refuse_taken_ports(self, *, patience_s: float = 0.0) -> None:
        """Raise ConfigurationError for a port that is still taken after `patience_s` seconds."""
        until_s = time.monotonic() + patience_s
        for needed in self.ports:
            while not is_free(needed.port):
                if time.monotonic() > until_s:
                    raise _taken(needed)
                time.sleep(_POLL_S)


def plan(settings: Servers, data_dir: Path, procfile_path: Path = PROCFILE) -> Plan:
    """The factory that these settings ask for; servers whose URL is set are somebody else's and are not started.

    Raises ConfigurationError for a Procfile, a share of it or a server that cannot be used.
    """
    data_dir = data_dir.absolute()
    servers, ports = [], []
    redis_url = actors_redis_url = settings.redis_address
    if _ours_to_start(settings.redis_url, valkey.url(settings.redis_port), settings.redis_port):
        password = secrets.token_hex(16)
        servers.append(valkey.valkey(data_dir / "valkey", settings.redis_port, actor_password=password))
        actors_redis_url = valkey.url(settings.redis_port, password)
        instead = f"set REDIS_URL={valkey.url(settings.redis_port)} to use the server that is there"
        ports.append(NeededPort(settings.redis_port, "YTEMPIRE_REDIS_PORT", "our Valkey", instead))
    if _ours_to_start(settings.database_url, postgres.url(settings.postgres_port), settings.postgres_port):
        backups = Path(settings.backups_dir or data_dir / "backups").absolute()
        archive = backups / "wal" if settings.wal_archive else None
        servers.append(postgres.postgres(data_dir / "postgres", settings.postgres_port, archive=archive))
        instead = f"set DATABASE_URL={postgres.url(settings.postgres_port)} to use the server that is there"
        ports.append(NeededPort(settings.postgres_port, "YTEMPIRE_POSTGRES_PORT", "our Postgres", instead))
    database_url = settings.database_address
    environ = {
        "REDIS_URL": actors_redis_url,
        "DATABASE_URL": database_url,
        "YTEMPIRE_DATA_DIR": str(data_dir),
        "YTEMPIRE_ARTIFACTS_URL": settings.artifacts_url,
        "YTEMPIRE_BACKUPS_DIR": settings.backups_dir,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "ORT_DISABLE_TELEMETRY": "1",  # the runtime of the local voice would report to its maker
        # whoever asks the exporters asks only for these
        **({"YTEMPIRE_ACTORS": settings.actors} if settings.actors else {}),
    }
    lines = procfile.share(procfile.read(procfile_path), settings.actors)
    return Plan(
        servers=tuple(servers),
        workers=tuple(_workers(lines, settings, environ)),
        ports=(*ports, *_gateway(lines, settings), *_exporters(lines, settings)),
        redis_url=redis_url,
        database_url=database_url,
    )


def _ours_to_start(named: str, own: str, port: int) -> bool:
    """Whether a server is ours: none was named, or the one that `env` exported to this shell, and nobody is there."""
    return not named or (named == own and is_free(port))


def _workers(lines: Share, settings: Servers, environ: dict[str, str]) -> Iterator[Program]:
    for place, line in lines:
        port = settings.metrics_port + place
        yield Program(
            name=line.name,
            argv=line.argv,
            environ={**environ, "YTEMPIRE_METRICS_PORT": str(port)},
            answers=partial(exporter_answers, port, settings.metrics_host),
        )


def _exporters(lines: Share, settings: Servers) -> Iterator[NeededPort]:
    for place, line in lines:
        yield NeededPort(settings.metrics_port + place, "YTEMPIRE_METRICS_PORT", f"the exporter of {line.name}")


def _gateway(lines: Share, settings: Servers) -> Iterator[NeededPort]:
    if any(line.name == "gateway" for _, line in lines):
        yield NeededPort(settings.gateway_port, "YTEMPIRE_GATEWAY_PORT", "the gateway")


def _taken(needed: NeededPort) -> ConfigurationError:
    other = f"choose another one with {needed.setting}={next_free(needed.port)}"
    return ConfigurationError(
        f"port {needed.port}, for {needed.user} ({needed.setting}), is taken by another program",
        hint=f"{needed.instead}, or {other}" if needed.instead else other,
    )
