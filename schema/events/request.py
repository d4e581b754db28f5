"""What is asked of the factory on stream:intake: one field, `topic`, and a few optional ones; the rest has defaults.

Whatever comes in, the answer is a Request or a RefusedError whose hint is a right line to copy. Fields that intake does
not know are kept in the brief. Whether the voice can speak the words is not judged here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

import msgspec

from schema import wire
from schema.documents import Aspect, Brief
from schema.errors import RefusedError
from schema.settings.limits import Limits

STREAM = "stream:intake"
TYPE = "video.requested"

PRIORITY_DEFAULT = 5
PRIORITY_HIGHEST = 9
LENGTH_MIN_S, LENGTH_MAX_S = 10, 600
KEY_MAX_CHARS = 200
#: Longest style, voice, traceparent and field name.
WORD_MAX_CHARS = 200
EXTRA_MAX_FIELDS = 50
#: What all names and values other than the notes may weigh together.
OTHER_MAX_BYTES = 65_536

_EXAMPLE_TOPIC = "Why octopuses have three hearts"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LENGTH = re.compile(r"(?:(?P<minutes>[0-9]{1,4})m)?(?:(?P<seconds>[0-9]{1,5})s?)?")
_KNOWN = ("topic", "notes", "style", "voice", "aspect", "length", "priority", "key", "type", "traceparent")
#: Text from a file or a page may rightly hold tabs, line ends and form feeds.
_CONTROL_IN_NOTES = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")


class Request(msgspec.Struct, frozen=True):
    """A request whose every field was understood; `key` is None when the sender gave none."""

    key: str | None
    priority: int
    brief: Brief
    traceparent: str = ""


def parse(raw: Mapping[bytes, bytes], limits: Limits) -> Request:
    """Understand an entry of stream:intake; optional fields that are empty count as not given.

    Raises RefusedError: the message says what was got and what was expected, the hint is a right line to copy.
    """
    try:
        _weigh(raw, limits)
        return _understood(_named(wire.text_fields(raw)), limits)
    except RefusedError as error:
        right = error.right if isinstance(error, _WrongFieldError) else {}
        hint = wire.line(STREAM, {"topic": _topic_or_example(raw, limits), **right})
        raise RefusedError(str(error), hint=hint) from None


class _WrongFieldError(RefusedError):
    """A field that cannot be used, and what it could say instead."""

    def __init__(self, message: str, **right: str) -> None:
        super().__init__(message)
        self.right = right


def _understood(fields: Mapping[str, str], limits: Limits) -> Request:
    topic = _topic(fields, limits)
    if (kind := fields.get("type", TYPE)) != TYPE:
        raise _WrongFieldError(f"type is {wire.shown(kind)!r}: {STREAM} takes {TYPE}, or no type at all", type=TYPE)
    brief = Brief(
        topic=topic,
        notes=_notes(fields.get("notes", "")),
        style=_word(fields, "style", "default"),
        voice=_word(fields, "voice", "default"),
        aspect=_aspect(fields.get("aspect", "16:9")),
        length_s=_length_s(fields.get("length", "60s")),
        extra=_extra(fields),
    )
    return Request(
        key=_word(fields, "key", "", most=KEY_MAX_CHARS) or None,
        priority=_priority(fields.get("priority", str(PRIORITY_DEFAULT))),
        brief=brief,
        traceparent=_word(fields, "traceparent", ""),
    )


def _weigh(raw: Mapping[bytes, bytes], limits: Limits) -> None:
    """Refuse what is too large before a byte of it is decoded."""
    notes_bytes = len(raw.get(b"notes", b""))
    if notes_bytes > limits.notes_max_bytes:
        allowed = f"at most {limits.notes_max_bytes:,} are allowed (YTEMPIRE_NOTES_MAX_BYTES)"
        raise _WrongFieldError(
            f"notes are {notes_bytes:,} bytes: {allowed}", notes="The text to build the narration from"
        )
    others_bytes = sum(len(name) + len(value) for name, value in raw.items()) - notes_bytes
    if others_bytes > OTHER_MAX_BYTES:
        others = {name: len(value) for name, value in raw.items() if name != b"notes"}
        largest = max(others, key=others.__getitem__)
        allowed = f"at most {OTHER_MAX_BYTES:,} are allowed; long text goes into notes"
        message = f"the fields beside notes are {others_bytes:,} bytes (most of them {wire.shown(largest)}): {allowed}"
        raise _WrongFieldError(message)


def _named(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields that say something, their names checked."""
    for name in fields:
        if not _NAME.fullmatch(name) or len(name) > WORD_MAX_CHARS:
            lower = name.lower().strip()
            meant = f"; did you mean {lower}?" if lower in _KNOWN else ""
            raise _WrongFieldError(f"{wire.shown(name)!r} is no field name: names are in lower_snake{meant}")
    return {name: value for name, value in fields.items() if value.strip() or name == "topic"}


def _topic(fields: Mapping[str, str], limits: Limits) -> str:
    if "topic" not in fields:
        there = f"got {wire.shown(', '.join(fields))}" if fields else "got no field that says anything"
        raise _WrongFieldError(f"topic is missing, the one field that a request needs; {there}")
    topic = fields["topic"].strip()
    if not topic:
        raise _WrongFieldError("topic is empty: say in a few words what the video is about")
    if len(topic) > limits.topic_max_chars:
        allowed = f"at most {limits.topic_max_chars} are allowed (YTEMPIRE_TOPIC_MAX_CHARS); long text goes into notes"
        raise _WrongFieldError(f"topic is {len(topic):,} characters: {allowed}")
    _refuse_control("topic", topic, wire.CONTROL)
    return topic


def _topic_or_example(raw: Mapping[bytes, bytes], limits: Limits) -> str:
    """The sender's own topic where it can be used, for the hint."""
    try:
        return (
            _topic(wire.text_fields({b"topic": raw.get(b"topic", b"")[: 4 * limits.topic_max_chars]}), limits)
            or _EXAMPLE_TOPIC
        )
    except RefusedError:
        return _EXAMPLE_TOPIC


def _notes(notes: str) -> str:
    _refuse_control("notes", notes, _CONTROL_IN_NOTES)
    return notes


def _word(fields: Mapping[str, str], name: str, default: str, *, most: int = WORD_MAX_CHARS) -> str:
    value = fields.get(name, default).strip()
    if len(value) > most:
        raise _WrongFieldError(f"{name} is {len(value):,} characters: at most {most} are allowed")
    _refuse_control(name, value, wire.CONTROL)
    return value


def _aspect(value: str) -> Aspect:
    aspect: Aspect
    for aspect in get_args(Aspect):
        if value.strip() == aspect:
            return aspect
    raise _WrongFieldError(f"aspect is {wire.shown(value)!r}: expected 16:9 (wide) or 9:16 (tall)", aspect="16:9")


def _length_s(value: str) -> float:
    match = _LENGTH.fullmatch(value.strip().lower())
    length_s = 60 * int(match["minutes"] or 0) + int(match["seconds"] or 0) if match else None
    if length_s is None:
        message = f"length is {wire.shown(value)!r}: expected seconds or minutes, such as 90s, 2m or 1m30s"
        raise _WrongFieldError(message, length="90s")
    if not LENGTH_MIN_S <= length_s <= LENGTH_MAX_S:
        allowed = f"expected {LENGTH_MIN_S}s to {LENGTH_MAX_S // 60}m"
        raise _WrongFieldError(f"length is {wire.shown(value)!r}, {length_s} seconds: {allowed}", length="90s")
    return float(length_s)


def _priority(value: str) -> int:
    digit = value.strip()
    if len(digit) == 1 and digit in "0123456789":
        return int(digit)
    message = f"priority is {wire.shown(value)!r}: expected 0 to {PRIORITY_HIGHEST}, higher first"
    raise _WrongFieldError(message, priority=str(PRIORITY_DEFAULT))


def _extra(fields: Mapping[str, str]) -> dict[str, str]:
    """What intake does not know, an `id` or `at` of the sender's own included: kept as it is."""
    extra = {name: value for name, value in fields.items() if name not in _KNOWN}
    if len(extra) > EXTRA_MAX_FIELDS:
        allowed = f"at most {EXTRA_MAX_FIELDS} are kept and passed on"
        raise _WrongFieldError(f"{len(extra)} fields are not intake's own: {allowed}")
    for name, value in extra.items():
        _refuse_control(name, value, _CONTROL_IN_NOTES)
    return extra


def _refuse_control(name: str, value: str, control: re.Pattern[str]) -> None:
    if found := control.search(value):
        where = f"the control character U+{ord(found[0]):04X} at position {found.start()}"
        raise _WrongFieldError(f"{name} has {where}: send plain text")
