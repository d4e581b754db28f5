"""Events as they travel: flat pairs of plain text, to and from frozen structs, and the redis-cli line that types them.

A value is never JSON. What cannot be read is refused by its name and place, and a printed line can be pasted into a
shell as it stands. Whether an event makes sense is not judged here: that is the business of `schema.events`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from schema.errors import RefusedError

#: Characters of a value that a printed line shows; what is longer ends in "…".
SHOWN_CHARS = 120

#: Control characters and line separators: what would break a log line, a caption or a terminal.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

#: How much of a value `shown` looks at (characters or bytes): a message about 10 MB need not read 10 MB.
_LOOKED_AT = 8 * SHOWN_CHARS

#: What double quotes do not protect in a shell (the last for the history of an interactive one).
_UNSAFE_IN_DOUBLE_QUOTES = frozenset('"$`\\!')

StructT = TypeVar("StructT", bound=msgspec.Struct)


def text_fields(raw: Mapping[bytes, bytes]) -> dict[str, str]:
    """The fields as text; raises RefusedError, naming field and byte, for what is not UTF-8."""
    return {_text(name, "a field name"): _text(value, shown(name)) for name, value in raw.items()}


def to_fields(event: msgspec.Struct) -> dict[str, str]:
    """A struct as flat text: every field in its order, but optional ones that are empty."""
    fields = {}
    for field in msgspec.structs.fields(event):
        value = str(getattr(event, field.name))
        if value or field.required:
            fields[field.encode_name] = value.encode(errors="replace").decode()
    return fields


def from_fields(raw: Mapping[bytes, bytes], kind: type[StructT]) -> StructT:
    """The struct that an entry says, unknown fields ignored.

    Raises RefusedError, naming the field, what was got and what was expected.
    """
    declared = msgspec.structs.fields(kind)
    known = {field.encode_name.encode() for field in declared}
    fields = text_fields({name: value for name, value in raw.items() if name in known})
    for field in declared:
        if field.required and field.encode_name not in fields:
            raise RefusedError(f"the field {field.encode_name} is missing")
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        expected, _, place = str(error).partition(" - at `$.")
        expected, name = expected.removesuffix(", got `str`"), place.rstrip("`")
        raise RefusedError(f"{name} is {shown(fields[name])!r}: {expected[:1].lower()}{expected[1:]}") from None


def line(stream: str, fields: Mapping[str, str]) -> str:
    """The redis-cli line that publishes `fields`, ready to paste; long values and all but a first line end in "…"."""
    pairs = (f"{_quoted(shown(name))} {_quoted(shown(value))}" for name, value in fields.items())
    return " ".join(["redis-cli XADD", _quoted(stream), "'*'", *pairs])


def shown(value: str | bytes) -> str:
    """A value as a message may show it: one line without control characters, with a "…" where something is left out."""
    head = value[:_LOOKED_AT]
    text = (head.decode(errors="replace") if isinstance(head, bytes) else head).strip()
    first, *more = text.splitlines() or [""]
    left_out = more or len(first) > SHOWN_CHARS or len(value) > _LOOKED_AT
    return CONTROL.sub("\ufffd", first[:SHOWN_CHARS]) + ("…" if left_out else "")


def _text(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        wrong = f"{name} is not UTF-8: byte 0x{value[error.start]:02x} at offset {error.start}"
        raise RefusedError(f"{wrong}; send it as UTF-8 text") from None


def _quoted(text: str) -> str:
    """One word for the shell, in the quotes that read best."""
    if shlex.quote(text) == text:
        return text
    return shlex.quote(text) if _UNSAFE_IN_DOUBLE_QUOTES & set(text) else f'"{text}"'
