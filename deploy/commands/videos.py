"""`submit` and `videos`: ask for a video, and list what the factory was asked for."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from actors.rendering import styles
from deploy.commands.connections import PATIENCE_S, bus, record
from deploy.commands.terminal import DataOption, JsonOption, running_factory
from schema import wire
from schema.errors import ConfigurationError, RefusedError, RetryableError
from schema.events import request
from schema.modes import in_force
from schema.money.calls import dollars
from schema.record.videos import VideoRow, Videos, Wanted
from schema.settings import environment
from streams import names, receipts
from streams.publish import publish
from streams.transport.port import BusUnavailableError

if TYPE_CHECKING:
    from actors.providers.estimate import Item

_RECEIPT_WITHIN_S = 15.0
_TOPIC_SHOWN_CHARS = 60
#: What a video can be.
STATUSES = ("waiting", "queued", "processing", "completed", "failed", "cancelled")

TopicArgument = Annotated[str, typer.Argument(help="What the video is about.", metavar="TOPIC")]
NotesOption = Annotated[
    Path | None, typer.Option("--notes", help="File with the text to build the narration from.", metavar="FILE")
]


def submit(
    topic: TopicArgument,
    *,
    notes: NotesOption = None,
    priority: Annotated[str, typer.Option(help="0 to 9, higher first; 5 if not given.", metavar="N")] = "",
    aspect: Annotated[str, typer.Option(help="16:9 or 9:16.", metavar="W:H")] = "",
    length: Annotated[str, typer.Option(help="Such as 90s.", metavar="TIME")] = "",
    voice: Annotated[str, typer.Option(help="Voice.", metavar="NAME")] = "",
    style: Annotated[str, typer.Option(help=f"Look: {', '.join(styles.names())}.", metavar="NAME")] = "",
    key: Annotated[str, typer.Option(help="The same key twice is one video.", metavar="KEY")] = "",
    estimate: Annotated[bool, typer.Option("--estimate", help="Only say what it would cost; order nothing.")] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for a video.

    Prints its name once the request is in the record; the redis-cli line that does the same comes first.
    """
    given = {"notes": read_notes(notes), "priority": priority, "aspect": aspect, "length": length, "voice": voice}
    fields = {"topic": topic, **{name: text for name, text in {**given, "style": style, "key": key}.items() if text}}
    if estimate:
        print("\n".join(_estimated(fields)))
        return
    if not json:
        print(wire.line(names.INTAKE, fields))
    factory = running_factory(data)
    try:
        with bus(factory.redis_url) as transport:
            entry_id = publish(transport, names.INTAKE, fields, wait_s=PATIENCE_S)
            receipt = receipts.wait(transport, names.receipt_key(entry_id), _RECEIPT_WITHIN_S)
    except BusUnavailableError as error:
        raise RetryableError(str(error), hint="./ytempire doctor") from error
    if receipt is None:
        raise RetryableError(
            f"sent as {entry_id}, but nobody answered within {_RECEIPT_WITHIN_S:g} s: is the factory up?",
            hint=f"./ytempire cli HGETALL {names.receipt_key(entry_id)}",
        )
    if "video" not in receipt:
        raise RefusedError(receipt.get("error", "refused"), hint=receipt.get("hint", ""))
    if json:
        print(msgspec.json.encode({"entry": entry_id, **receipt}).decode())
        return
    print(f"video {receipt['video']} {receipt['status']}, place {receipt['place']}")


def _estimated(fields: dict[str, str]) -> list[str]:
    """What it would cost by the settings of this shell, in normal and in economy mode."""
    from actors.intake import writable  # noqa: PLC0415 - heavy, and no other command may wait for it
    from actors.providers import estimate as estimated  # noqa: PLC0415 - likewise

    settings = environment.read()
    asked = request.parse({name.encode(): text.encode() for name, text in fields.items()}, settings.limits)
    brief = writable(asked.brief, settings.providers)
    told = []
    for mode in ("normal", "economy"):
        items = estimated.estimate(brief, settings.providers, in_force((mode,)))
        total = sum((item.amount_usd for item in items), Decimal(0))
        told.append(f"{mode}: {dollars(total)} of {dollars(settings.limits.video_budget_usd)}")
        told += [f"  {_item_in_words(item)}" for item in items]
    return told


def _item_in_words(item: Item) -> str:
    if not item.amount_usd:
        return f"{item.stage:<8}{item.provider}: free"
    bound = "at most" if item.at_most else "about"
    return f"{item.stage:<8}{item.provider} {item.model}: {bound} {dollars(item.amount_usd)}"


def read_notes(path: Path | None) -> str:
    """The text of a notes file, empty without one; raises ConfigurationError when it cannot be read as text."""
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the notes {path} cannot be read: {error}", hint="give a UTF-8 text file") from error


def videos(
    status: Annotated[str, typer.Option(help="Only those with this status.", metavar="STATUS")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=100_000)] = 20,
    data: DataOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """List videos, the newest first."""
    if status and status not in STATUSES:
        raise RefusedError(f"status is {status!r}: expected {', '.join(STATUSES)}", hint="./ytempire videos")
    wanted = Wanted(statuses=(status,) if status else ())
    for row in asyncio.run(_list(running_factory(data).database_url, wanted, limit)):
        if json:
            print(msgspec.json.encode(row).decode())
        else:
            why = f": {wire.shown(row.reason)}" if row.reason else ""
            print(f"{row.video}  {row.status:<10}  {row.created_at:%Y-%m-%d %H:%M}  {topic_of(row)}{why}")


async def _list(database_url: str, wanted: Wanted, limit: int) -> list[VideoRow]:
    async with record(database_url) as postgres:
        return await Videos(postgres).wanted(wanted, most=limit)


def topic_of(video: VideoRow) -> str:
    """Its topic, as long as a line shows it."""
    topic = video.topic
    return topic if len(topic) <= _TOPIC_SHOWN_CHARS else f"{topic[: _TOPIC_SHOWN_CHARS - 1]}…"
