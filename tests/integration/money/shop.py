"""A provider in this process, some of its bad habits, and somebody who buys from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec

from actors.providers.ports import Adapter, Answer, Resend
from actors.providers.purchase import Buy, Purchases
from schema.artifacts import Artifacts
from schema.errors import (
    BilledError,
    UnknownOutcomeError,
)
from schema.money.journal import PaidLine, ReleasedLine, SentLine
from schema.money.reservation import Reservation
from schema.record.postgres import Postgres
from schema.settings.environment import Settings
from schema.settings.limits import Limits
from schema.settings.servers import Servers

VOICE_USD = Decimal("0.012")


class Order(msgspec.Struct, frozen=True):
    """Something to say."""

    text: str = "forty characters that somebody shall say"


class Speech(msgspec.Struct, frozen=True):
    """How it was said."""

    file: str
    said: str


class Voice:
    """Bills by the character, and fails as its script says, one outcome a call; after its end all goes well."""

    service: str = "elevenlabs"
    model: str = "eleven_v3"

    def __init__(self, *script: Exception, resend: Resend = "blind") -> None:
        self._script, self.resend = list(script), resend
        self.calls: list[Reservation] = []
        #: Of the provider, by the key that it was sent.
        self.billed: list[object] = []
        self.may_answer, self.was_called = asyncio.Event(), asyncio.Event()
        self.may_answer.set()

    def worst_case(self, order: Order) -> dict[str, int]:
        """The characters of the text."""
        return {"characters": len(order.text)}

    async def call(self, order: Order, reservation: Reservation, out: Path) -> Answer[Speech]:
        """Speak it."""
        self.calls.append(reservation)
        self.was_called.set()
        await self.may_answer.wait()
        failure = self._script.pop(0) if self._script else None
        if failure is None or isinstance(failure, UnknownOutcomeError | BilledError):
            self.billed.append(reservation.id)
        if failure is not None:
            raise failure
        path = out / "voice" / "0.wav"
        path.parent.mkdir()
        await asyncio.to_thread(path.write_text, order.text)
        return Answer(Speech("voice/0.wav", order.text), {"characters": len(order.text)}, "req-1")


class Dearer(Voice):
    """Bills more than its price says."""

    async def call(self, order: Order, reservation: Reservation, out: Path) -> Answer[Speech]:
        """Bill twice the characters."""
        answer = await super().call(order, reservation, out)
        return msgspec.structs.replace(answer, used={"characters": 2 * len(order.text)})


class Strange(Voice):
    """Bills in a currency of its own."""

    async def call(self, order: Order, reservation: Reservation, out: Path) -> Answer[Speech]:
        """Bill in a unit that nobody has a price for."""
        answer = await super().call(order, reservation, out)
        return msgspec.structs.replace(answer, used={"credits": 1})


class Untold(Voice):
    """Does not declare its answer."""

    async def call(self, order, reservation, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201 - as somebody may write it
        """Say nothing of what comes back."""
        return await super().call(order, reservation, out)


class Shop:
    """Buys for attempts of a video, each into a folder of its own."""

    def __init__(self, postgres: Postgres, folder: Path, limits: Limits | None = None) -> None:
        settings = Settings(servers=Servers(data_dir=str(folder)), limits=limits or Limits())
        self.purchases = Purchases(postgres, Artifacts(str(folder / "artifacts")), settings)
        self._folder, self._orders = folder, 0

    def buyer(self, attempt: int = 1, video: str = "v", take: int = 0, checkpoint: Callable[[], None] = int) -> Buy:  # type: ignore[assignment] # int() does nothing
        """One attempt."""
        return self.purchases.buyer(video, "audio", attempt, checkpoint=checkpoint, take=take)

    async def buy(
        self, adapter: Adapter[Order, Speech], attempt: int = 1, video: str = "v", take: int = 0
    ) -> tuple[Answer[Speech], str]:
        """The answer, and the words in its file."""
        out = self.out()
        answer = await self.buyer(attempt, video, take)(adapter, Order(), out)
        return answer, await asyncio.to_thread((out / answer.result.file).read_text)

    def out(self) -> Path:
        """A new folder."""
        self._orders += 1
        out = self._folder / f"out{self._orders}"
        out.mkdir()
        return out

    def steps(self) -> list[str]:
        """What the journal says."""
        names = {SentLine: "sent", PaidLine: "paid", ReleasedLine: "released"}
        found = sorted((self._folder / "journal").glob("*"))
        return [names[type(line)] for line in self.purchases.journal.lines(FIRST_DAY) if line] if found else []


FIRST_DAY = date.min
SAID = Answer(Speech("voice/0.wav", Order().text), {"characters": 40}, "req-1")
