"""Which servers are fit to carry the bus: one primary, Redis 7.0 or Valkey, that neither evicts nor forgets.

Asks INFO alone, which managed services allow where they forbid CONFIG.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.transport.connection import Connection, UnsafeServerError

_OLDEST: Final = (7, 0)


def refuse_unsafe(connection: Connection) -> None:
    """Raises UnsafeServerError, naming the setting, what was got, what was expected and what to do."""
    information: Any = connection.call(connection.commands.info)
    for problem in problems(information):
        raise UnsafeServerError(problem)


def problems(information: Mapping[str, Any]) -> list[str]:
    """What makes the server that says this about itself unfit."""
    found: list[str] = []
    version = str(information.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _OLDEST:
        found.append(
            f"redis_version is {version}, expected 7.0 or newer (or Valkey): the bus needs its stream commands"
        )
    if str(information.get("cluster_enabled", 0)) != "0":
        found.append(
            "cluster-enabled is yes, expected no: a settlement touches several keys at once; use one primary, "
            "with replicas if you like"
        )
    policy = information.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        found.append(
            f"maxmemory-policy is {policy}, expected noeviction: a full server would drop events; "
            "run: redis-cli CONFIG SET maxmemory-policy noeviction"
        )
    if str(information.get("aof_enabled", 1)) == "0":
        found.append(
            "appendonly is no, expected yes: a restart would forget what was published; "
            "run: redis-cli CONFIG SET appendonly yes"
        )
    return found
