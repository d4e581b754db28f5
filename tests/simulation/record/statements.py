"""Which function stands for which statement: by the statement's own text, blanks aside.

A statement that nobody wrote a function for is an error that names it, so that the model cannot fall behind unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias

from tests.simulation.record.tables import Rows, Tables

#: What a statement does: the rows it returns, or touches where it returns none.
Does: TypeAlias = "Callable[..., Rows]"
_KNOWN: Final[dict[str, Does]] = {}
_BY_TEXT: Final[dict[str, Does]] = {}


class UnknownStatementError(Exception):
    """The record in memory does not know this statement."""


def statement(*texts: str) -> Callable[[Does], Does]:
    """The function does what these statements do; its arguments are the tables, the time, and the statement's own."""

    def note(does: Does) -> Does:
        for text in texts:
            _KNOWN[_plain(text)] = does
        return does

    return note


def carry_out(tables: Tables, now: datetime, text: str, arguments: tuple[Any, ...]) -> Rows:
    """What a statement returns; raises UnknownStatementError."""
    does = _BY_TEXT.get(text)
    if does is None:
        does = _KNOWN.get(_plain(text))
        if does is None:
            raise UnknownStatementError(f"{_plain(text)}\n(write what it does into tests/simulation/record)")
        _BY_TEXT[text] = does
    return does(tables, now, *arguments)


def replaced(texts: tuple[str, ...], does: Does) -> Callable[[], None]:
    """Have these statements do something else; returns what puts them right again."""
    plain = [_plain(text) for text in texts]
    before = {text: _KNOWN[text] for text in plain}
    for text in plain:
        _KNOWN[text] = does
    _BY_TEXT.clear()

    def put_back() -> None:
        _KNOWN.update(before)
        _BY_TEXT.clear()

    return put_back


def known(text: str) -> Does:
    """What stands for a statement now."""
    return _KNOWN[_plain(text)]


def _plain(text: str) -> str:
    return " ".join(text.split())
