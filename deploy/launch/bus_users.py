"""Who may do what on Redis: the table from which `deploy/config/users.acl` is made, and the file of our own Valkey.

`python -m deploy.launch.bus_users > deploy/config/users.acl` brings the file up to date; a test holds the two equal. In
that file nobody has a password, and so nobody comes in, until an operator gives one to each user that is wanted. Our
own Valkey listens on loopback only: whoever has an account on this machine is its `default` user, without a password,
for whom every line of the runbook works as it is typed. An ACL cannot see a command's options: a producer who trims
stream:intake with XADD's MAXLEN takes away requests that have no receipt yet, and no others.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Final

import msgspec

from streams import names

ACTOR: Final = "actor"
#: Says who is asking and whether somebody is there; clients do it by themselves.
#: CLIENT SETINFO, which they send as well, cannot be named to a Redis 7.0, so all but what disturbs others is given.
_POLITE: Final = ("ping", "echo", "command", "client", "acl|whoami")
_RUDE: Final = ("client|kill", "client|pause", "client|unblock", "client|reply", "client|no-evict")
#: What the transport asks for, beside scripts, and what its scripts do.
_BUS: Final = (
    "xadd", "xrange", "xrevrange", "xlen", "xread", "xreadgroup", "xack", "xclaim", "xpending", "xtrim",
    "xgroup|create", "xgroup|delconsumer", "xinfo|groups", "xinfo|stream", "xinfo|consumers", "get", "set", "mget",
    "exists", "del", "pexpire", "hset", "hgetall", "zadd", "zrange", "zrem", "sadd", "smembers", "multi", "exec",
    "discard", "eval", "evalsha", "time", "info", "select",
)  # fmt: skip
#: What a person looks at, the runbook's lines, and a copy to carry away (`redis-cli --rdb`).
_LOOKS: Final = (
    "xadd", "xrange", "xrevrange", "xlen", "xread", "xpending", "xinfo", "hgetall", "zcard", "zrange", "zscore",
    "smembers", "scard", "sismember", "exists", "type", "ttl", "scan", "keys", "dbsize", "info", "lastsave", "time",
    "slowlog|get", "slowlog|len", "latency", "memory|usage", "memory|stats", "memory|doctor", "config|get", "select",
    "bgsave", "flushdb", "sync", "psync", "replconf",
)  # fmt: skip
#: Turns a server into a tool against its machine, or lets its users in by another door: nobody's, not even on loopback.
_NEVER: Final = (
    "debug", "module", "replicaof", "slaveof", "failover", "migrate", "cluster", "acl|setuser", "acl|deluser",
    "acl|load", "acl|save", "config|rewrite", "function", "script|kill", "script|debug",
)  # fmt: skip


class User(msgspec.Struct, frozen=True):
    """A user: for whom, the commands, and the keys as Redis spells them (%R~ to read, %W~ to write, ~ both)."""

    name: str
    what_for: str
    commands: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def rules(self) -> str:
        """All but the password; no publish and subscribe, which nothing here uses."""
        may = [*map("+{}".format, self.commands), *map("-{}".format, _RUDE)]
        return " ".join(["on", "sanitize-payload", "resetchannels", *self.keys, "-@all", *may])


USERS: Final = (
    User(
        ACTOR,
        "every process of the factory, and its command line",
        (*_POLITE, *_BUS),
        ("~stream:*", "~lane:*", "~lanes:*", "~receipt:*", "~queue:*", "~published:*", "~requeued:*", "~trimming:*"),
    ),
    User(
        "operator",
        "people: look at everything, ask for videos, send commands",
        (*_POLITE, *_LOOKS),
        ("%R~*", f"%W~{names.CONTROL}", f"%W~{names.INTAKE}"),
    ),
    User(
        "producer",
        "other systems: ask for videos, and read what became of it",
        (*_POLITE, "xadd", "hgetall"),
        (f"%W~{names.INTAKE}", f"%R~{names.receipt_key('[0-9]*')}"),
    ),
)
#: Nobody without a name comes in from elsewhere.
_NOBODY: Final = "user default reset"
_HERE: Final = " ".join(["user default on nopass ~* &* +@all", *map("-{}".format, _NEVER)])


def shipped() -> str:
    """The text of deploy/config/users.acl: Redis takes no comment there."""
    return "".join(f"{line}\n" for line in (_NOBODY, *(f"user {user.name} {user.rules}" for user in USERS)))


def of_our_own(actor_password: str) -> str:
    """The file of a Valkey on loopback; without a password no actor comes in."""
    digest = f"#{hashlib.sha256(actor_password.encode()).hexdigest()} " if actor_password else ""
    named = shipped().removeprefix(f"{_NOBODY}\n").replace(f"user {ACTOR} ", f"user {ACTOR} {digest}")
    return f"{_HERE}\n{named}"


if __name__ == "__main__":
    sys.stdout.write(shipped())
