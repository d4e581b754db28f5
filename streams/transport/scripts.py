"""The Lua scripts beside this file, ready to be called; each says in its head what it takes and returns.

A script runs alone on the server: what it checks is still true when it acts. They go on when Redis is out of memory,
since an acknowledgement that frees memory must not wait for memory; only `publish_within_memory` does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from redis.exceptions import NoScriptError

from streams.transport.connection import Argument

#: Fields of an event that a script can pass on: Lua hands some 8,000 arguments to a command.
SCRIPT_MAX_FIELDS: Final = 3_900
_FOLDER: Final = Path(__file__).parent / "lua"
_ALLOW_OOM: Final = "#!lua flags=allow-oom"


class Script:
    """One script; a server that does not know it yet, or any more, is sent the text."""

    def __init__(self, ask: Callable[..., Any], text: str) -> None:
        self._ask, self._text = ask, text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, args: Sequence[Argument]) -> Any:  # noqa: ANN401 - each script answers something else
        """What the script returns for these arguments; it has no keys."""
        try:
            return self._ask("EVALSHA", self._sha, 0, *args)
        except NoScriptError:
            return self._ask("EVAL", self._text, 0, *args)


class Scripts:
    """Every script; `ask` sends a command and returns the answer."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        def registered(name: str) -> Script:
            return Script(ask, (_FOLDER / f"{name}.lua").read_text(encoding="utf-8"))

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
        self.publish_within_memory = Script(ask, body.replace(_ALLOW_OOM, "#!lua", 1))


def counted(fields: Mapping[str, str] | Mapping[bytes, bytes]) -> list[Argument]:
    """Fields and values in turn, after their number: how the scripts take them."""
    return [2 * len(fields), *(part for pair in fields.items() for part in pair)]


def paired(flat: list[bytes]) -> dict[bytes, bytes]:
    """Fields and values in turn, as the server answers them."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
