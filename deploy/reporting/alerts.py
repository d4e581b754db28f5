"""What of all that happens a person is told at once: halts, budgets, key figures, quarantines, dead letters.

A guardian's notice is an alert from the level on that the settings name, and some of its notices always are. What it
says is normal again is the end of an alert of the same cause. Everything else on the streams is for the console.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from schema.events.command import is_guardian
from schema.record.messages import OVER, Message
from schema.wire import shown
from streams import names
from streams.transport.port import Entry

#: Streams that are read for alerts.
STREAMS: Final = (names.NOTICES, names.DEAD, names.CONTROL)
#: What `./ytempire alert` says on stream:notices: it has told everybody itself.
TOLD: Final = "alert.told"
_BY_HAND: Final = "halt by hand"
_ALWAYS: Final = frozenset({"cost.held", "gpu.lost", "integrity.quarantined"})
_ENDS: Final = (".released", ".lifted", "_lifted", "_resumed", ".back")
_WANTED: Final = {"critical": ("critical",), "warning": ("warning", "critical")}
#: What is older is no alert any more: nobody was there to tell it.
_STALE: Final = timedelta(hours=24)


def alert_of(entry: Entry, *, level: str, now: datetime) -> Message | None:
    """The alert that an entry is; None: it is none."""
    at = datetime.fromtimestamp(int(entry.id.partition("-")[0]) / 1000, UTC)
    if now - at > _STALE:
        return None
    fields = {name.decode(errors="replace"): shown(value) for name, value in entry.fields.items()}
    source = f"{entry.stream}/{entry.id}"
    if entry.stream == names.DEAD:
        return _dead_letter(fields, source, at)
    if entry.stream == names.CONTROL:
        return _held(fields, source, at)
    return _notice(fields, source, at, level)


def _dead_letter(fields: dict[str, str], source: str, at: datetime) -> Message:
    group = fields.get("group") or "somebody"
    title = f"dead letter: {group} gave up on {fields.get('video') or 'an event'}"
    hint = fields.get("hint") or "./ytempire requeue lists them, and puts them back"
    body = _paragraphs(fields.get("error", ""), f"try: {hint}", _when(at))
    return Message(source, f"dead:{group}", "critical", title, body, at)


def _held(fields: dict[str, str], source: str, at: datetime) -> Message | None:
    """A halt by hand, and its end; a guardian says its own on stream:notices."""
    by, verb = fields.get("by") or "somebody", fields.get("type")
    if verb not in ("halt", "resume") or is_guardian(by):
        return None
    reason = fields.get("reason", "") or "no reason was given"
    if verb == "resume":
        return Message(source, _BY_HAND, OVER, f"resumed by {by}", _paragraphs(reason, _when(at)), at)
    body = _paragraphs(reason, "try: ./ytempire resume", _when(at))
    return Message(source, _BY_HAND, "critical", f"halted by {by}", body, at)


def _notice(fields: dict[str, str], source: str, at: datetime, level: str) -> Message | None:
    type_, by, cause = fields.get("type", ""), fields.get("by", ""), fields.get("cause", "")
    said = fields.get("level") or ("critical" if type_ in _ALWAYS else "")
    over = said in (OVER, "") and (type_.endswith(_ENDS) or (type_.endswith(".level") and said == OVER))
    if type_ == TOLD or not (over or type_ in _ALWAYS or said in _WANTED[level]):
        return None
    subject = " ".join(part for part in (fields.get("video", ""), fields.get("stage", "")) if part)
    about = f"{cause.replace('_', ' ')}{f' ({subject})' if subject else ''}"
    title = f"{by}: {about} is over" if over else f"{by}: {about}, {type_.partition('.')[2].replace('_', ' ')}"
    action = fields.get("action", "")
    body = _paragraphs(fields.get("reason", ""), f"do: {action}" if action else "", fields.get("host", ""), _when(at))
    key = f"{by}:{cause}:{fields.get('video', '')}:{fields.get('host', '')}"
    return Message(source, key, OVER if over else said, title, body, at)


def _paragraphs(*texts: str) -> str:
    return "\n".join(text for text in texts if text)


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
