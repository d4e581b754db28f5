"""What operators and guardians say on stream:control: one verb, and the fields that the verb knows.

A halt always halts, however its fields are spelt; what can be read of them is kept. Any other verb must be right in
every field, or it is refused with the line that would be right: a resume that is half understood opens nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import islice
from typing import Literal, NoReturn

import msgspec

from schema import wire
from schema.errors import RefusedError

STREAM = "stream:control"
OPERATOR = "operator"

#: Longest reason, the one field that people write sentences in, and longest other field.
REASON_MAX_CHARS = 500
FIELD_MAX_CHARS = 200


class Verb(msgspec.Struct, frozen=True):
    """A verb, what it does in words, and its own fields with an example of each; all of them are needed."""

    name: str
    does: str
    own: tuple[tuple[str, str], ...] = ()


#: Every verb there is. A new one is a row here, its name in Command.verb, and its own fields as fields of Command.
VERBS = (
    Verb("halt", "stop everything now"),
    Verb("pause", "finish what runs, take nothing new"),
    Verb("resume", "lift all holds"),
)

#: Fields that any verb may carry; `id` is the token by which a hold that HTTP or the CLI wrote first is recognised.
COMMON = ("reason", "by", "cause", "id")
#: Fields that are stamped on events in general and mean nothing here.
_STAMPED = ("v", "at", "traceparent")

#: Words of a wrong command that are compared with the verbs.
_WORDS_LOOKED_AT = 20

_VERB = {verb.name: verb for verb in VERBS}


class Command(msgspec.Struct, frozen=True):
    """A command that was understood; `cause` is what a guardian's hold stands for."""

    verb: Literal["halt", "pause", "resume"]
    reason: str = ""
    by: str = OPERATOR
    cause: str = ""
    id: str = ""


def parse(raw: Mapping[bytes, bytes]) -> Command:
    """Understand an entry of stream:control.

    Raises RefusedError, with a right line as its hint, for anything but a halt that has a field wrong or missing.
    """
    if says_halt(raw):
        return _halt(raw)
    try:
        fields = wire.text_fields(raw)
    except RefusedError as error:
        raise RefusedError(str(error), hint=_example(raw)) from None
    verb = _verb(fields, raw)
    _check(fields, verb)
    said = {name: fields[name].strip() for name in (*COMMON, *dict(verb.own)) if fields.get(name, "").strip()}
    return msgspec.convert({"verb": verb.name, **said}, Command)


def to_fields(command: Command) -> dict[str, str]:
    """The command as it travels."""
    fields = wire.to_fields(command)
    return {"type": fields.pop("verb"), **fields}


def says_halt(raw: Mapping[bytes, bytes]) -> bool:
    """Whether this entry means halt, whatever the case and the space around its words."""
    return any(_loose(name) == "type" and _loose(value[:FIELD_MAX_CHARS]) == "halt" for name, value in raw.items())


def _halt(raw: Mapping[bytes, bytes]) -> Command:
    said = {}
    for name, value in raw.items():
        if (field := _loose(name)) in COMMON:
            text = value[: 4 * REASON_MAX_CHARS].decode(errors="replace")
            said[field] = wire.CONTROL.sub(" ", text).strip()[: _most(field)]
    given = {name: text for name, text in said.items() if text}
    return msgspec.convert({"verb": "halt", **given}, Command)


def _verb(fields: Mapping[str, str], raw: Mapping[bytes, bytes]) -> Verb:
    kind = fields.get("type", "").strip()
    if kind in _VERB:
        return _VERB[kind]
    near = difflib.get_close_matches(kind.casefold()[:FIELD_MAX_CHARS], list(_VERB), n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    got = f"type is {wire.shown(kind)!r}" if kind else "type is missing"
    verbs = ", ".join(f"{verb.name} ({verb.does})" for verb in VERBS)
    raise RefusedError(f"{got}: expected {verbs}{meant}", hint=_example(raw))


def _check(fields: Mapping[str, str], verb: Verb) -> None:
    """Refuse fields that the verb does not know, lacks, or cannot use."""
    known = {"type", *COMMON, *_STAMPED, *dict(verb.own)}
    for name, value in fields.items():
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            meant = f"did you mean {near[0]}?" if near else f"it takes {', '.join([*dict(verb.own), *COMMON])}"
            _refuse(f"{verb.name} does not know the field {wire.shown(name)!r}: {meant}", verb)
        if len(value) > _most(name):
            _refuse(f"{name} is {len(value):,} characters: at most {_most(name)} are allowed", verb)
        if found := wire.CONTROL.search(value.strip()):
            where = f"U+{ord(found[0]):04X} at position {found.start()}"
            _refuse(f"{name} has the control character {where}: send plain text on one line", verb)
    for name, _ in verb.own:
        if not fields.get(name, "").strip():
            _refuse(f"{verb.name} needs the field {name}", verb)


def _example(raw: Mapping[bytes, bytes]) -> str:
    """The line for the verb that was most likely meant; the mildest where nothing tells."""
    for word in islice((raw.get(b"type", b""), *raw, *raw.values()), _WORDS_LOOKED_AT):
        if near := difflib.get_close_matches(_loose(word[:FIELD_MAX_CHARS]), list(_VERB), n=1):
            return _line(_VERB[near[0]])
    return _line(_VERB["pause"])


def _line(verb: Verb) -> str:
    return wire.line(STREAM, {"type": verb.name, **dict(verb.own), "reason": "why"})


def _refuse(message: str, verb: Verb) -> NoReturn:
    raise RefusedError(message, hint=_line(verb))


def _most(name: str) -> int:
    return REASON_MAX_CHARS if name == "reason" else FIELD_MAX_CHARS


def _loose(word: bytes) -> str:
    return word.decode(errors="replace").strip().casefold()
