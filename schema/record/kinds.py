"""What a migration means for code that is older than it: `expand`, it goes on beside it; `contract`, it has to be gone.

Judged from the SQL alone, and carefully: what is not known to be harmless is told as something that older code may
stumble over. It does not know whether that code uses what changes, nor how long a lock is held meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, get_args

Kind = Literal["expand", "contract"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_SHOWN_CHARS: Final = 90

_TOKEN: Final = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<end>;)
      | (?P<word>"(?:[^"]|"")*"|[^-/'$;"]+|.)""",
    re.DOTALL | re.VERBOSE,
)
_NAME: Final = r"(?:IF NOT EXISTS )?(?:public\.)?([\w.\"]+)"
#: What makes something of its own; the group is its name.
_MAKES: Final = (
    re.compile(rf"CREATE (?:UNLOGGED )?(?:TABLE|SCHEMA|VIEW|SEQUENCE|TYPE|FUNCTION|ROLE) {_NAME}", re.IGNORECASE),
    re.compile(rf"CREATE INDEX (?:CONCURRENTLY )?{_NAME} ON", re.IGNORECASE),
)
_GIVES: Final = re.compile(r"(GRANT|COMMENT ON) ", re.IGNORECASE)
#: What changes something that may have been there; the group is what.
_CHANGES: Final = (
    re.compile(rf"CREATE OR REPLACE (?:VIEW|FUNCTION) {_NAME}", re.IGNORECASE),
    re.compile(rf"CREATE UNIQUE INDEX .*? ON (?:ONLY )?{_NAME}", re.IGNORECASE),
    re.compile(rf"CREATE (?:OR REPLACE )?(?:CONSTRAINT )?TRIGGER .*? ON {_NAME}", re.IGNORECASE),
    re.compile(rf"(?:ALTER TABLE|INSERT INTO|UPDATE|DELETE FROM) (?:IF EXISTS )?(?:ONLY )?{_NAME}", re.IGNORECASE),
    re.compile(r"REVOKE \w+ ON (?:FUNCTION |TABLE )?([\w.\", ]+?) FROM", re.IGNORECASE),
)
_ADDED: Final = re.compile(r"ADD (?:COLUMN )?(?!CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)", re.IGNORECASE)
#: A column that older code, which does not name it, cannot leave out, or cannot leave out twice.
_DEMANDS: Final = re.compile(r"\b(UNIQUE|PRIMARY KEY|REFERENCES)\b", re.IGNORECASE)
_NOT_NULL: Final = re.compile(r"\bNOT NULL\b", re.IGNORECASE)
_FILLED: Final = re.compile(r"\b(DEFAULT|GENERATED)\b", re.IGNORECASE)


def stumbling(sql: str) -> tuple[str, ...]:
    """The statements, shortened, that older code may stumble over; empty: it can live with all of them.

    Whatever a migration does to what it has made itself is nobody else's business.
    """
    made: set[str] = set()
    found = []
    for statement in _statements(sql):
        if (new := next((hit[1] for what in _MAKES if (hit := what.match(statement))), None)) is not None:
            made.add(new.lower())
        elif not _is_harmless(statement, made):
            found.append(statement[:_SHOWN_CHARS] + "…" * (len(statement) > _SHOWN_CHARS))
    return tuple(found)


def _is_harmless(statement: str, made: set[str]) -> bool:
    if _GIVES.match(statement):
        return True
    touched = next((hit[1] for what in _CHANGES if (hit := what.match(statement))), None)
    if touched is None:
        return False
    if all(name.strip().lower() in made for name in touched.split(",")):
        return True
    head = re.match(rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{_NAME} ", statement, re.IGNORECASE)
    return head is not None and all(map(_only_adds, _parts(statement[head.end() :])))


def _only_adds(action: str) -> bool:
    """Whether this part of an ALTER TABLE adds a column that whoever does not know it need not fill."""
    demands = _DEMANDS.search(action) or (_NOT_NULL.search(action) and not _FILLED.search(action))
    return bool(_ADDED.match(action)) and not demands


def _parts(actions: str) -> Iterator[str]:
    """What stands between commas that are in no parentheses."""
    depth, begin = 0, 0
    for place, letter in enumerate(actions):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            yield actions[begin:place].strip()
            begin = place + 1
    yield actions[begin:].strip()


def _statements(sql: str) -> Iterator[str]:
    """Each statement on one line, without comments; texts and bodies of functions are left out."""
    words: list[str] = []
    for token in _TOKEN.finditer(sql + ";"):
        if token.lastgroup == "end" or token["end"]:
            if statement := " ".join("".join(words).split()):
                yield statement
            words = []
        elif token["comment"]:
            words.append(" ")
        else:
            words.append("''" if token["text"] else token["word"])
