"""What operators and guardians say on stream:control: one verb, and the fields that the verb knows.

A halt always halts, however its fields are spelt; what can be read of them is kept. Any other verb must be right in
every field, or it is refused with the line that would be right: a resume that is half understood opens nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from itertools import islice
from typing import Literal, NoReturn

import msgspec

from schema import flow, modes, wire
from schema.errors import RefusedError

STREAM = "stream:control"
OPERATOR = "operator"
#: Whoever says `by` one of these is a guardian; anybody else, by whatever name, is an operator.
GUARDIANS = ("cost", "gpu", "stuck", "integrity", "vitals")

#: Longest reason, the one field that people write sentences in, and longest other field.
REASON_MAX_CHARS = 500
FIELD_MAX_CHARS = 200


class Field(msgspec.Struct, frozen=True):
    """A field of a verb: an example of it, whether the verb needs it, and what it may say (anything, if empty)."""

    name: str
    example: str
    needed: bool = True
    #: The words it takes, ...
    one_of: tuple[str, ...] = ()
    #: ... or what a value looks like, and that in words.
    pattern: str = ""
    reads: str = ""

    def fits(self, value: str) -> bool:
        """Whether this value can be used."""
        if self.one_of:
            return value in self.one_of
        return not self.pattern or re.fullmatch(self.pattern, value) is not None

    def expected(self, value: str) -> str:
        """What it takes, in words, and which of it was most likely meant."""
        if not self.one_of:
            return f"expected {self.reads}"
        near = difflib.get_close_matches(value.casefold(), self.one_of, n=1)
        return f"expected {', '.join(self.one_of)}" + (f"; did you mean {near[0]}?" if near else "")


class Verb(msgspec.Struct, frozen=True):
    """A verb, what it does in words, and its own fields."""

    name: str
    does: str
    own: tuple[Field, ...] = ()


_VIDEO = Field("video", "261123-k3f9qz7m")
_SOME_VIDEO = msgspec.structs.replace(_VIDEO, needed=False)
_STAGE = Field("from", "render", needed=False, one_of=tuple(stage.name for stage in flow.STAGES))
_FRESH = Field("fresh", "yes", needed=False, one_of=("yes", "no"))
_JOBS = Field("jobs", "2", pattern=r"[1-9][0-9]{0,3}|all", reads="a number from 1 to 9999, or all for no limit")

#: Every verb there is. A new one is a row here, its name in Command.verb, and its own fields as fields of Command.
VERBS = (
    Verb("halt", "stop everything now"),
    Verb("pause", "finish what runs, take nothing new"),
    Verb("resume", "lift all holds"),
    Verb("mode", "save money, or hurry", (Field("mode", "economy", one_of=modes.MODES), _SOME_VIDEO)),
    Verb("throttle", "limit GPU jobs at once on a host", (_JOBS, Field("host", "gpu-1", needed=False))),
    Verb("cancel", "end a video", (_VIDEO,)),
    Verb("retry", "take up a video that has ended", (_VIDEO, _STAGE, _FRESH)),
    Verb("release_gpu", "free what render actors hold of a card's memory"),
)

#: Fields that any verb may carry; `id` is the token by which a hold that HTTP or the CLI wrote first is recognised.
COMMON = ("reason", "by", "cause", "id")
#: Fields that are stamped on events in general and mean nothing here.
_STAMPED = ("v", "at", "traceparent")

#: Words of a wrong command that are compared with the verbs.
_WORDS_LOOKED_AT = 20

_VERB = {verb.name: verb for verb in VERBS}


class Command(msgspec.Struct, frozen=True, rename={"from_stage": "from"}):
    """A command that was understood; `cause` is what a guardian's hold or order stands for."""

    verb: Literal["halt", "pause", "resume", "mode", "throttle", "cancel", "retry", "release_gpu"]
    reason: str = ""
    by: str = OPERATOR
    cause: str = ""
    id: str = ""
    #: Of mode: empty where it is not said.
    mode: Literal["", modes.Mode] = ""
    #: Of mode, cancel and retry.
    video: str = ""
    #: Of throttle: a number, or `all`; and the host, empty for each.
    jobs: str = ""
    host: str = ""
    #: Of retry.
    from_stage: str = ""
    fresh: Literal["", "yes", "no"] = ""


def is_guardian(by: str) -> bool:
    """Whether it is a guardian that speaks, which lifts only what it has placed."""
    return by in GUARDIANS


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
    names = (*COMMON, *(field.name for field in verb.own))
    said = {name: fields[name].strip() for name in names if fields.get(name, "").strip()}
    return msgspec.convert({"verb": verb.name, **said}, Command)


def to_fields(command: Command) -> dict[str, str]:
    """The command as it travels."""
    fields = wire.to_fields(command)
    return {"type": fields.pop("verb"), **fields}


def line(command: Command) -> str:
    """The redis-cli line that types this command: what is needed of it, and nothing that is a default."""
    fields = to_fields(command)
    own = {field.name: fields[field.name] for field in _VERB[command.verb].own if fields.get(field.name)}
    by = {"by": command.by} if command.by != OPERATOR else {}
    why = {name: fields[name] for name in ("reason", "cause") if fields.get(name)}
    return wire.line(STREAM, {"type": command.verb, **own, **why, **by})


def says_halt(raw: Mapping[bytes, bytes]) -> bool:
    """Whether this entry means halt, whatever the case and the space around its words."""
    return any(_loose(name) == "type" and _loose(value[:FIELD_MAX_CHARS]) == "halt" for name, value in raw.items())


def _halt(raw: Mapping[bytes, bytes]) -> Command:
    said = {}
    for name, value in raw.items():
        if (field := _loose(name)) in COMMON:
            text = value[: 4 * REASON_MAX_CHARS].decode(errors="replace")
            said[field] = wire.CONTROL.sub(" ", text).strip()[: _most(field)].rstrip()
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
    own = [field.name for field in verb.own]
    known = {"type", *COMMON, *_STAMPED, *own}
    for name, value in fields.items():
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            meant = f"did you mean {near[0]}?" if near else f"it takes {', '.join([*own, *COMMON])}"
            _refuse(f"{verb.name} does not know the field {wire.shown(name)!r}: {meant}", verb, fields)
        if len(value) > _most(name):
            _refuse(f"{name} is {len(value):,} characters: at most {_most(name)} are allowed", verb, fields)
        if found := wire.CONTROL.search(value.strip()):
            where = f"U+{ord(found[0]):04X} at position {found.start()}"
            _refuse(f"{name} has the control character {where}: send plain text on one line", verb, fields)
    for field in verb.own:
        value = fields.get(field.name, "").strip()
        if field.needed and not value:
            _refuse(f"{verb.name} needs the field {field.name}", verb, fields)
        if value and not field.fits(value):
            _refuse(f"{field.name} is {wire.shown(value)!r}: {field.expected(value)}", verb, fields)


def _example(raw: Mapping[bytes, bytes]) -> str:
    """The line for the verb that was most likely meant; the mildest where nothing tells."""
    for word in islice((raw.get(b"type", b""), *raw, *raw.values()), _WORDS_LOOKED_AT):
        if near := difflib.get_close_matches(_loose(word[:FIELD_MAX_CHARS]), list(_VERB), n=1):
            return _line(_VERB[near[0]])
    return _line(_VERB["pause"])


def _line(verb: Verb, fields: Mapping[str, str] | None = None) -> str:
    """A right line for the verb, with what was right of `fields`."""
    said = {}
    for field in verb.own:
        value = (fields or {}).get(field.name, "").strip()
        right = value and len(value) <= FIELD_MAX_CHARS and field.fits(value) and not wire.CONTROL.search(value)
        if value or field.needed:
            said[field.name] = value if right and wire.shown(value) == value else field.example
    return wire.line(STREAM, {"type": verb.name, **said, "reason": "why"})


def _refuse(message: str, verb: Verb, fields: Mapping[str, str]) -> NoReturn:
    raise RefusedError(message, hint=_line(verb, fields))


def _most(name: str) -> int:
    return REASON_MAX_CHARS if name == "reason" else FIELD_MAX_CHARS


def _loose(word: bytes) -> str:
    return word.decode(errors="replace").strip().casefold()
