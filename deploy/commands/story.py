"""`status --since 8h`: what happened, as a story in order of time, one line each: when, who, what, why.

From the record (commands, videos, attempts that went wrong, refusals) and from stream:notices (what guardians said).
Where Redis does not answer, or was wiped, the record's part is told, and that it is only a part.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from deploy.commands.connections import PATIENCE_S, bus, record
from deploy.launch.data_directory import Addresses
from schema import wire
from schema.events.notice import WIPED
from schema.record.story import Event, Stories, Story, told
from streams import names
from streams.transport.port import BusUnavailableError, Entry, Transport

_ONLY_PART: Final = "what guardians said is missing, the rest is told from the record"


class Heard(msgspec.Struct, frozen=True):
    """What stream:notices has of the time, and what is to be said about that."""

    events: tuple[Event, ...]
    remarks: tuple[str, ...] = ()


def tell(factory: Addresses, since_s: float, *, most: int, json: bool) -> None:
    """Print the story of the last `since_s` seconds."""
    heard = hear(factory.redis_url, datetime.now(UTC) - timedelta(seconds=since_s), most=most)
    recorded = asyncio.run(_recorded(factory.database_url, since_s, most))
    story = told([*recorded.events, *heard.events], most=most)
    remarks = list(heard.remarks)
    if story.left_out or recorded.left_out:
        remarks.append(f"only the {len(story.events)} latest events are shown: --limit shows more")
    if not story.events:
        remarks.append("nothing happened")
    for remark in remarks:
        print(msgspec.json.encode({"remark": remark}).decode() if json else f"({remark})")
    for event in story.events:
        print(msgspec.json.encode(event).decode() if json else line(event))


async def _recorded(database_url: str, since_s: float, most: int) -> Story:
    async with record(database_url) as postgres:
        return await Stories(postgres).since(since_s, most=most)


def hear(redis_url: str, since: datetime, *, most: int) -> Heard:
    """The notices since then, the latest `most` and one more."""
    with bus(redis_url) as transport:
        try:
            newest = transport.last_generated_id(names.NOTICES, wait_s=PATIENCE_S)
        except BusUnavailableError:
            return Heard((), (f"Redis does not answer: {_ONLY_PART}",))
        if newest is None:
            return Heard((), (f"there is no {names.NOTICES}, so Redis was wiped, or is new: {_ONLY_PART}",))
        kept: deque[Event] = deque(maxlen=most + 1)
        wiped: list[Event] = []
        for entry in _entries(transport, f"{max(0, int(since.timestamp() * 1000))}-0"):
            event = understood(entry)
            if event.at >= since:  # a notice may be said late, when Redis was away
                kept.append(event)
            if event.what == WIPED:
                wiped = [event]
    lost = [f"Redis was wiped at {_at(one.at)}: what guardians said before is lost" for one in wiped]
    return Heard(tuple(kept), tuple(lost))


def _entries(transport: Transport, cursor: str) -> Iterable[Entry]:
    while page := transport.observe({names.NOTICES: cursor}, 0.0):
        yield from page
        cursor = page[-1].id


def understood(entry: Entry) -> Event:
    """A notice as an event, whatever somebody has put there."""
    said = {name.decode(errors="replace"): text.decode(errors="replace") for name, text in entry.fields.items()}
    what = said.get("type", "said something without a type")
    level = f" ({said['level']})" if said.get("level") else ""
    stage = f" {said['stage']}" if said.get("stage") else ""
    why = said.get("reason") or said.get("stream", "")
    action = f"; {said['action']}" if said.get("action") else ""
    return Event(
        _when(said.get("at", ""), entry.id),
        said.get("by", ""),
        what + level + stage,
        said.get("video", ""),
        why + action,
    )


def _when(at: str, entry_id: str) -> datetime:
    """When it says that it was; else when it was said."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        found = datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def line(event: Event) -> str:
    """The event as a person reads it."""
    video = f" {event.video}" if event.video else ""
    why = f": {event.why}" if event.why else ""
    return f"{_at(event.at)}  {_plain(event.who):<9}  {_plain(event.what + video + why)}"


def _plain(text: str) -> str:
    """All of it on one line, and nothing that a terminal would obey."""
    return wire.CONTROL.sub("\ufffd", " ".join(text.split()))


def _at(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
