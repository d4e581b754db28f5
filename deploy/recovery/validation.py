"""Says tick by tick whether a factory is whole: the operators' five questions, and what a restore may have left behind.

What is not installed is a tick with its reason. It looks at the factory from outside, as its users do, and changes
nothing; a check that cannot be made is a cross, never a tick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from deploy.exporters import Exporters, Heard
from deploy.recovery import backups
from schema.artifacts import Artifacts
from schema.errors import ArtifactError, PipelineError
from schema.money.statement import Statement
from schema.record import databases
from schema.record.audit import Audit
from schema.record.belongings import Belongings
from schema.record.gate import GateRecord
from schema.record.postgres import Postgres
from schema.record.videos import Videos
from schema.settings.servers import Servers
from streams import names
from streams.transport.over_redis import RedisTransport

_PATIENCE_S: Final = 5.0
#: The last films whose every byte is read.
_FILMS: Final = 5
#: An hourly backup is missed at the second hour, not while the first is being made.
_FRESH: Final = timedelta(hours=2)
_DIRECT: Final = build_opener(ProxyHandler({}))
#: Without these nothing is accepted or admitted.
_QUEUE_PROCESSES: Final = ("intake", "control", "dispatch")


class Tick(msgspec.Struct, frozen=True):
    """One check: what was found, in words, and whether it is well."""

    check: str
    ok: bool
    found: str


class _Wrong(Exception):  # noqa: N818 - an answer, not a failure
    """What a check found, which is not well."""


def validate(servers: Servers, redis_url: str, database_url: str) -> tuple[Tick, ...]:
    """Every check, in the operators' order."""
    return asyncio.run(_all(servers, redis_url, database_url))


async def _all(servers: Servers, redis_url: str, database_url: str) -> tuple[Tick, ...]:
    heard = await Exporters(servers).hear()
    postgres = Postgres(database_url, Servers(db_pool_min=1, db_pool_max=1), process="validate")
    checks: dict[str, Callable[[], Awaitable[str]]] = {
        "database": lambda: _database(postgres, database_url),
        "redis": lambda: asyncio.to_thread(_redis, redis_url),
        "api": lambda: asyncio.to_thread(_api, servers, heard),
        "queue": lambda: _queue(postgres, heard),
        "gpu": lambda: _gpu(heard),
        "money": lambda: _money(postgres),
        "films": lambda: _films(postgres, servers),
        "backups": lambda: asyncio.to_thread(_backups, servers),
    }
    try:
        return tuple([await _tick(name, check) for name, check in checks.items()])
    finally:
        await postgres.close()


async def _tick(name: str, check: Callable[[], Awaitable[str]]) -> Tick:
    try:
        return Tick(name, ok=True, found=await asyncio.wait_for(check(), None if name == "films" else 2 * _PATIENCE_S))
    except _Wrong as wrong:
        return Tick(name, ok=False, found=str(wrong))
    except TimeoutError:
        return Tick(name, ok=False, found=f"no answer within {2 * _PATIENCE_S:g} s")
    except (PipelineError, OSError) as error:
        return Tick(name, ok=False, found=str(error))
    except AssertionError:  # the pool was never opened: the first check says why
        return Tick(name, ok=False, found="the database does not answer")


async def _database(postgres: Postgres, database_url: str) -> str:
    found = await databases.server(database_url)
    if found.schema != databases.newest_schema():
        raise _Wrong(f"its schema is {found.schema}, this version's is {databases.newest_schema()}")
    await asyncio.wait_for(postgres.open(), _PATIENCE_S)
    untimed = await Audit(postgres).contradicting()
    if untimed:
        raise _Wrong(f"{untimed} rows that the runbook's corruption queries find")
    counts = await Videos(postgres).counts()
    return f"Postgres {found.major}, schema {found.schema}, videos: {sum(counts.values())}"


def _redis(url: str) -> str:
    transport = RedisTransport(url, process="validate", lease_s=_PATIENCE_S)
    try:
        transport.refuse_unsafe_server()
        last = transport.last_generated_id(names.CONTROL, wait_s=_PATIENCE_S)
    except PipelineError:
        raise
    except Exception as error:  # the bus has errors of its own, and each is a cross here
        raise _Wrong(str(error)) from error
    finally:
        transport.close()
    return f"answers, evicts nothing; last command {last or 'none yet'}"


def _api(servers: Servers, heard: Heard) -> str:
    if "gateway" not in heard.processes:
        return "not here: another host runs the gateway (YTEMPIRE_ACTORS)"
    host = "127.0.0.1" if servers.gateway_host in ("", "0.0.0.0", "::") else servers.gateway_host  # noqa: S104 - compared
    url = f"http://{host}:{servers.gateway_port}/livez"
    try:
        with _DIRECT.open(Request(url), timeout=_PATIENCE_S) as answer:
            return f"{url} answers {answer.status}"
    except HTTPError as error:
        with error:
            raise _Wrong(f"{url} answers {error.code}") from None
    except OSError as error:
        raise _Wrong(f"{url} does not answer: {error}") from None


async def _queue(postgres: Postgres, heard: Heard) -> str:
    silent = [name for name in _QUEUE_PROCESSES if heard.processes.get(name) is False]
    if silent:
        raise _Wrong(f"not running: {', '.join(silent)}")
    truth = await GateRecord(postgres).read()
    counts = await Videos(postgres).counts()
    words = ", ".join(f"{counts.get(status, 0)} {status}" for status in ("waiting", "queued", "processing"))
    if truth.state != "open":
        why = "; ".join(sorted(f"{hold.kind} by {hold.by}: {hold.reason or 'no reason given'}" for hold in truth.holds))
        raise _Wrong(f"{truth.state} ({why}); {words}; ./ytempire resume lets it go on")
    return f"open; {words}"


async def _gpu(heard: Heard) -> str:
    if heard.cards:
        return ", ".join(f"{card.card}: {card.used_mb or 0:.0f} of {card.total_mb or 0:.0f} MB" for card in heard.cards)
    if heard.processes.get("gpu") is False:
        raise _Wrong("the gpu guardian does not run")
    return f"not here: {heard.why_no_card()}" + ", films are made on the CPU" * ("gpu" in heard.processes)


async def _money(postgres: Postgres) -> str:
    statement = Statement(postgres)
    wrong = await statement.contradictions()
    if wrong:
        raise _Wrong(f"{len(wrong)} totals do not equal their rows, the first: {wrong[0].counter} {wrong[0].name}")
    today = await statement.today()
    return f"every total equals its rows; today ${today.counted_usd:.2f}"


async def _films(postgres: Postgres, servers: Servers) -> str:
    films = await Belongings(postgres).last_films(_FILMS)
    store = Artifacts(servers.artifacts_address, servers.artifacts_access)
    try:
        faults = [fault for film in films if (fault := await asyncio.to_thread(store.fault, film))]
    except ArtifactError as error:
        if films:
            raise _Wrong(str(error)) from error
        faults = []
    if faults:
        raise _Wrong("; ".join(faults))
    return f"the last {len(films)} are what was stored" if films else "none yet"


def _backups(servers: Servers) -> str:
    found = backups.listed(servers.backups_folder)
    if not found:
        raise _Wrong(f"none in {servers.backups_folder}: ./ytempire backup")
    age = datetime.now(UTC) - found[-1].manifest.at
    words = f"{len(found)}, the last {age.total_seconds() / 60:.0f} minutes ago, proved by restoring it"
    if age > _FRESH:
        raise _Wrong(f"{words}: ./ytempire backup")
    backups.check(found[-1])
    return words
