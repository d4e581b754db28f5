"""Where the stages of a process buy: its adapters, circuits and purchases, made when they are first wanted and kept.

A paid call is tried again while it fails in a passing way, and bought once more where the answer could not be used and
another may; both within the budgets. Who fails gives way to the next of the stage's chain, which is recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
import structlog

from actors.providers import chain, configured
from actors.providers.breaker import Circuits
from actors.providers.chain import Buy, Choice, Delivered, Local, Paid
from actors.providers.ports import Adapter, Answer, Checkpoint
from actors.providers.purchase import Purchases
from actors.providers.retries import tried
from schema.artifacts import Artifacts
from schema.clock import Clock
from schema.errors import BilledError
from schema.modes import Bundle
from schema.money.statement import Statement
from schema.record.claims import Claim
from schema.record.postgres import Postgres
from schema.settings.environment import Settings
from schema.settings.providers import LOCAL, Stage

if TYPE_CHECKING:
    from actors.providers.media.download import Downloads

_log = structlog.get_logger(__name__)
Order = TypeVar("Order", bound=msgspec.Struct)
Bought = TypeVar("Bought", bound=msgspec.Struct)
Result = TypeVar("Result")

Result_co = TypeVar("Result_co", covariant=True)


class Way(Protocol[Result_co]):
    """How a stage has its need met by one paid provider."""

    async def __call__(self, name: str, buy: Buy, *, economy: bool) -> Result_co:
        """Buy from the provider of this name; in economy, in its cheaper way."""


class Market:
    """One a process."""

    def __init__(self, postgres: Postgres, artifacts: Artifacts, settings: Settings, clock: Clock) -> None:
        """Connects to nobody; raises ConfigurationError where the user's prices cannot be used."""
        providers = settings.providers
        self.settings = providers
        self._purchases = Purchases(postgres, artifacts, settings)
        self._statement = Statement(postgres)
        self._circuits = Circuits(clock, failures=providers.breaker_failures, open_s=providers.breaker_open_s)
        self.writer = cache(partial(configured.writer, settings=providers))
        self.finder = cache(partial(configured.finder, settings=providers))
        self.speaker = cache(partial(configured.speaker, settings=providers))

    @cached_property
    def downloads(self) -> Downloads:
        """Fetches files by the settings' bounds."""
        from actors.providers.media.download import Downloads  # noqa: PLC0415 - wanted where something is bought

        return Downloads(self.settings)

    def choices(
        self, stage: Stage, paid: Way[Result], local: Callable[[], Awaitable[Result]], mode: Bundle
    ) -> list[Choice[Result]]:
        """Who is tried for a stage, in order: in economy mode each in its cheaper way, else that only at need."""
        names = self.settings.chain(stage)
        first = [name for name in mode.voices_first if name in names]
        choices: list[Choice[Result]] = []
        for name in (*first, *(name for name in names if name not in first)):
            if name == LOCAL:
                choices.append(Local(name, local))
                continue
            cheaper = Paid(f"{name}, economy", partial(paid, name, economy=True))
            thrifty = mode.models == "economy"
            choices.append(cheaper if thrifty else Paid(name, partial(paid, name, economy=False), cheaper=cheaper))
        return choices

    async def deliver(
        self, choices: Sequence[Choice[Result]], claim: Claim, *, checkpoint: Checkpoint, deadline_s: float
    ) -> Delivered[Result]:
        """What the first of them delivers for this attempt; see `chain.deliver` for what is raised.

        No try of a call begins later than `deadline_s` after its first.
        """
        buy = self._purchases.buyer(claim.video, claim.stage, claim.attempt, checkpoint=checkpoint, take=claim.take)
        patient = _Patient(buy, self.settings.provider_tries, self.settings.retry_after_max_s, deadline_s, checkpoint)
        return await chain.deliver(choices, buy=patient, circuits=self._circuits, checkpoint=checkpoint)

    async def strike_off(self, video: str, stage: str) -> int:
        """Never hand out again what this stage of a video was made with; says how many results that are."""
        return await self._purchases.bought.strike_off_all(video, stage)

    async def spent_usd(self, video: str) -> Decimal:
        """What a video has cost so far; what may have been billed counts."""
        return (await self._statement.of_video(video)).spent_usd


class _Patient:
    """A buyer who tries again."""

    def __init__(
        self, buy: Buy, tries: int, retry_after_max_s: float, deadline_s: float, checkpoint: Checkpoint
    ) -> None:
        self._buy, self._checkpoint = buy, checkpoint
        self._tries, self._retry_after_max_s, self._deadline_s = tries, retry_after_max_s, deadline_s

    async def __call__(self, adapter: Adapter[Order, Bought], order: Order, out: Path) -> Answer[Bought]:
        try:
            return await self._tried(adapter, order, out)
        except BilledError as error:
            if not error.another_may_do:
                raise
            _log.warning("purchase.unusable", service=adapter.service, error=str(error))
            return await self._tried(adapter, order, out)

    async def _tried(self, adapter: Adapter[Order, Bought], order: Order, out: Path) -> Answer[Bought]:
        return await tried(
            lambda: self._buy(adapter, order, out),
            tries=self._tries,
            deadline_s=self._deadline_s,
            retry_after_max_s=self._retry_after_max_s,
            checkpoint=self._checkpoint,
        )
