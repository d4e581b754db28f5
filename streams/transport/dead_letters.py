"""Dead letters: what a group gave up on, kept with its own fields and why; each can be put back, once.

A letter that is put back goes to the private lane of the group that gave up, so that no other group sees it again. The
letter itself stays until it is too old: a mark beside it says that it was put back.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from streams.transport import lanes
from streams.transport.connection import Argument, Connection
from streams.transport.port import DEAD, DeadLetter, Entry, Requeued
from streams.transport.scripts import SCRIPT_MAX_FIELDS, Scripts, counted

_PAGE: Final = 500
_MARK_LIFE_MS: Final = 30 * 24 * 3600 * 1000
_ANSWERS: Final[dict[bytes, Requeued]] = {b"again": "again", b"missing": "missing"}
#: What we add; a field of the event that bears one of these names gets a "_" after its name.
_OURS: Final = (b"error", b"hint", b"from_stream", b"from_id", b"group")


def letter_fields(entry: Entry, error: str, hint: str) -> dict[bytes, bytes]:
    """The dead letter of an entry: its own fields intact, then ours."""
    said = (error, hint, entry.origin_stream, entry.origin_id, entry.group)
    ours = {name: text.encode(errors="replace") for name, text in zip(_OURS, said, strict=True)}
    fields: dict[bytes, bytes] = {}
    for name, value in entry.fields.items():
        kept = name
        while kept in ours or kept in fields or (kept != name and kept in entry.fields):
            kept += b"_"
        fields[kept] = value
    return fields | ours


def read_letter(letter_id: str, fields: dict[bytes, bytes], *, requeued: bool) -> DeadLetter:
    """The letter as its fields tell; what somebody else wrote into the stream has no group."""
    said = {name: fields.get(name, b"").decode(errors="replace") for name in _OURS}
    return DeadLetter(
        id=letter_id,
        group=said[b"group"],
        origin_stream=said[b"from_stream"],
        origin_id=said[b"from_id"],
        error=said[b"error"],
        hint=said[b"hint"],
        fields=_without_ours(fields),
        requeued=requeued,
    )


def lane_fields(letter: DeadLetter) -> dict[bytes, bytes]:
    """What goes to the lane: as if it had been retried, with no failure counted."""
    entry = Entry(
        stream=letter.origin_stream,
        id=letter.origin_id,
        fields=letter.fields,
        group=letter.group,
        origin_stream=letter.origin_stream,
        origin_id=letter.origin_id,
    )
    return lanes.on_lane(entry, retries=1, failures=0)


class DeadLetters:
    """The letters on the server."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection, self._scripts = connection, scripts

    def all(self) -> list[DeadLetter]:
        """Every letter that is still kept, the oldest first."""
        found: list[DeadLetter] = []
        start = "-"
        while True:
            page: Any = self._connection.call(partial(self._connection.commands.xrange, DEAD, start, "+", count=_PAGE))
            if not page:
                return found
            keys = [_mark(letter_id.decode()) for letter_id, _ in page]
            marks: Any = self._connection.call(partial(self._connection.commands.mget, keys))
            for (letter_id, fields), mark in zip(page, marks, strict=True):
                found.append(read_letter(letter_id.decode(), fields, requeued=mark is not None))
            start = f"({found[-1].id}"

    def requeue(self, letter: DeadLetter, lane: str) -> Requeued:
        """Puts its fields into the lane."""
        fields = lane_fields(letter)
        if len(fields) > SCRIPT_MAX_FIELDS:
            return self._requeue_large(letter, lane, fields)
        args: list[Argument] = [DEAD, letter.id, _mark(letter.id), _MARK_LIFE_MS, lane, *counted(fields)]
        answer: bytes = self._connection.call(partial(self._scripts.requeue, args=args))
        return _ANSWERS.get(answer, "requeued")

    def _requeue_large(self, letter: DeadLetter, lane: str, fields: dict[bytes, bytes]) -> Requeued:
        """The same by commands of their own: two who do it at once may put it back twice."""
        commands, call = self._connection.commands, self._connection.call
        if not call(partial(commands.xrange, DEAD, letter.id, letter.id)):
            return "missing"
        if call(partial(commands.exists, _mark(letter.id))):
            return "again"
        appended: Any = fields  # redis-py types the keys of a dict as invariant
        entry_id: Any = call(partial(commands.xadd, lane, appended))
        call(partial(commands.set, _mark(letter.id), entry_id, px=_MARK_LIFE_MS))
        return "requeued"


def _mark(letter_id: str) -> str:
    return f"requeued:{letter_id}"


def _without_ours(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """The event's own fields, by their own names."""
    kept = {name: value for name, value in fields.items() if name not in _OURS}
    for name in _OURS:
        renamed = [other for other in kept if other.startswith(name + b"_") and not other[len(name) :].strip(b"_")]
        if renamed:
            kept[name] = kept.pop(max(renamed, key=len))
    return kept
