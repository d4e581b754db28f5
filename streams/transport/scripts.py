"""The Lua scripts beside this file, ready to be called; each says in its head what it takes and returns.

A script runs alone on the server: what it checks is still true when it acts. They go on when Redis is out of memory,
since an acknowledgement that frees memory must not wait for memory; only `publish_within_memory` does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import redis
from redis.commands.core import Script

_FOLDER: Final = Path(__file__).parent / "lua"
_ALLOW_OOM: Final = "#!lua flags=allow-oom"

Argument = str | bytes | int | float


class Scripts:
    """Every script, on one client."""

    def __init__(self, client: redis.Redis) -> None:
        def registered(name: str) -> Script:
            return client.register_script((_FOLDER / f"{name}.lua").read_text(encoding="utf-8"))

        self.take = registered("take")
        self.settle = registered("settle")
        self.renew = registered("renew")
        self.give = registered("give")
        self.publish = registered("publish")
        self.due = registered("due")
        self.delayed = registered("delayed")
        self.leave = registered("leave")
        self.retire = registered("retire")
        self.trim = registered("trim")
        self.requeue = registered("requeue")
        self.figures = registered("figures")
        self.lanes = registered("lanes")
        body = (_FOLDER / "publish.lua").read_text(encoding="utf-8")
        self.publish_within_memory = client.register_script(body.replace(_ALLOW_OOM, "#!lua", 1))


def counted(fields: Mapping[str, str] | Mapping[bytes, bytes]) -> list[Argument]:
    """Fields and values in turn, after their number: how the scripts take them."""
    counted_fields: list[Argument] = [2 * len(fields)]
    for pair in fields.items():
        counted_fields += pair
    return counted_fields


def paired(flat: list[bytes]) -> dict[bytes, bytes]:
    """Fields and values in turn, as the server answers them."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
