"""Buys from a paid provider: found or claimed, priced, reserved, sent, settled; the only user of the ledger.

What was bought before is handed out again and costs nothing. Between the reservation and the bill nothing of ours
interrupts: a halt, a limit or a cancellation that comes after `sent` is heeded once the bill is booked, which the
provider's HTTP timeout bounds. What the adapter raises decides: nothing was billed (released), or nobody knows
(unknown, and the money stays counted). After an unknown outcome the same input is sent again under the same key where
the provider knows it, else bought a second time inside what the budgets have left, and shown as such.

It cannot make a provider answer twice alike, and it cannot know a bill that the price table gets wrong. It is long
because the one way in which money leaves is best read in one place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar
from uuid import UUID, uuid4

import msgspec
import structlog

from actors.providers.kept import answer_type, fetch, store
from actors.providers.ports import Adapter, Answer, Checkpoint
from schema.artifacts import Artifacts
from schema.errors import (
    ArtifactError,
    BilledError,
    BudgetError,
    PermanentError,
    RateLimitedError,
    RetryableError,
    StoreUnavailableError,
    UnknownPriceError,
)
from schema.money.bought import Before, BeingBought, Bought, Buyer, Claimed, Found, InputKey, StoredFile, input_key
from schema.money.bought import Superseded as AttemptOver
from schema.money.calls import Ask, Quota, Refused, dollars, quotas
from schema.money.journal import Journal
from schema.money.ledger import Ledger, Sent
from schema.money.overruns import Overruns
from schema.money.prices import Prices
from schema.record.postgres import Postgres
from schema.settings.environment import Settings
from schema.telemetry import traces
from streams.interrupts import Halted, Superseded

_log = structlog.get_logger(__name__)
#: How often a buyer looks again whether another one has bought what it wants.
_LOOK_S = 0.2
_FOLDER = "journal"
#: How long what was paid for waits for a store that went away since; after that it is lost, and bought again.
_STORE_PATIENCE_S, _STORE_LOOK_S = 60.0, 2.0

Order = TypeVar("Order", bound=msgspec.Struct)
Result = TypeVar("Result", bound=msgspec.Struct)
T = TypeVar("T")


class Purchases:
    """What buying needs, once a process."""

    def __init__(self, postgres: Postgres, artifacts: Artifacts, settings: Settings) -> None:
        """Reads the price table; raises ConfigurationError where the user's cannot be used."""
        limits = settings.limits
        self.limits, self.artifacts = limits, artifacts
        self.prices = Prices(settings.providers.prices)
        self.journal = Journal(Path(settings.servers.data_dir) / _FOLDER)
        self.bought, self.overruns = Bought(postgres), Overruns(postgres)
        self.ledger = Ledger(postgres, video_budget_usd=limits.video_budget_usd, day_budget_usd=limits.day_budget_usd)

    def buyer(self, video: str, stage: str, attempt: int, *, checkpoint: Checkpoint, take: int = 0) -> Buy:
        """Buys for one attempt at a stage; `take` rises when its results are wanted afresh."""
        return Buy(self, Buyer(video, stage, attempt), checkpoint, take)


class Buy:
    """Buys one order after the other, or several at once."""

    def __init__(self, purchases: Purchases, buyer: Buyer, checkpoint: Checkpoint, take: int) -> None:
        self._shop, self._buyer, self._checkpoint, self._take = purchases, buyer, checkpoint, take

    async def __call__(self, adapter: Adapter[Order, Result], order: Order, out: Path) -> Answer[Result]:
        """The answer, bought now or before; its files are in the folder `out`, which must be empty and nobody else's.

        Raises:
            BudgetError: the call does not fit what is left, or its price has proved wrong.
            UnknownPriceError: nobody says what it costs.
            RateLimitedError: a counted quota is used up.
            StoreUnavailableError: nothing could be kept, so nothing was bought.
            Halted, Superseded: the record says that this attempt may not spend.
        What the adapter raises passes through.
        """
        kind = answer_type(adapter)
        key = input_key(adapter.service, adapter.model, order, self._take)
        holder = uuid4()
        while isinstance(claim := await self._claim(key, holder), Found):
            if (answer := await self._restored(claim, key, kind, out)) is not None:
                return answer
        one = _Purchase(
            shop=self._shop, buyer=self._buyer, adapter=adapter, order=order, out=out, key=key, holder=holder
        )
        try:
            return await one.make(claim.before)
        finally:
            if not one.is_ended:
                await self._shop.bought.let_go(key, holder)

    async def _claim(self, key: InputKey, holder: UUID) -> Found | Claimed:
        """What was bought before, or the right to buy it; waits while somebody else is buying it."""
        while True:
            self._checkpoint()
            match await self._shop.bought.claim(key, self._buyer, holder):
                case AttemptOver():
                    raise Superseded("the record says that this attempt is over")
                case BeingBought(video=video):
                    _log.info("purchase.waits", for_video=video)
                    await asyncio.sleep(_LOOK_S)
                case found_or_claimed:
                    return found_or_claimed

    async def _restored(
        self, found: Found, key: InputKey, kind: type[Answer[Result]], out: Path
    ) -> Answer[Result] | None:
        """The answer with its files; None where they are lost: it is struck off, and bought again."""
        try:
            answer = msgspec.json.decode(found.result, type=kind)
            await asyncio.to_thread(fetch, self._shop.artifacts, found.files, out)
        except StoreUnavailableError:
            raise  # says nothing of the files
        except (msgspec.DecodeError, msgspec.ValidationError, ArtifactError) as error:
            _log.warning("purchase.lost", input=key.hash[:12], take=key.take, error=str(error))
            await self._shop.bought.strike_off(key)
            return None
        _log.info("purchase.found", input=key.hash[:12], take=key.take)
        return answer


class _Purchase(Generic[Order, Result]):
    """One purchase that was claimed."""

    def __init__(
        self,
        *,
        shop: Purchases,
        buyer: Buyer,
        adapter: Adapter[Order, Result],
        order: Order,
        out: Path,
        key: InputKey,
        holder: UUID,
    ) -> None:
        self._shop, self._ledger, self._buyer = shop, shop.ledger, buyer
        self._adapter, self._order, self._out = adapter, order, out
        self._key, self._holder = key, holder
        #: The claim has ended with its reservation.
        self.is_ended = False

    async def make(self, before: Before | None) -> Answer[Result]:
        """Reserve, send, settle; or send again what is of unknown outcome, where the provider knows it by its key.

        Nothing is bought that could not be kept: raises StoreUnavailableError where the store is away.
        """
        await asyncio.to_thread(self._shop.artifacts.reach)
        reservation = self._holder
        if before is not None and before.is_ours and before.state != "settled" and self._is_known_by_key():
            reservation = before.reservation
            _log.warning("purchase.sent_again", reservation=str(reservation), service=self._adapter.service)
        else:
            await self._reserve(before)
        return await _to_its_end(self._send(reservation))

    def _is_known_by_key(self) -> bool:
        return self._adapter.resend in ("keyed", "queryable")

    async def _reserve(self, before: Before | None) -> None:
        adapter, buyer = self._adapter, self._buyer
        units = adapter.worst_case(self._order)
        ask = Ask(
            id=self._holder,
            video=buyer.video,
            stage=buyer.stage,
            attempt=buyer.attempt,
            service=adapter.service,
            model=adapter.model,
            price=self._shop.prices.price(adapter.service, adapter.model).figures,
            units=units,
            amount_usd=self._shop.prices.worst_case_usd(adapter.service, adapter.model, units),
            policy=adapter.resend,
            input_hash=self._key.hash,
            take=self._key.take,
        )
        counted = quotas(adapter.service, self._shop.limits)
        try:
            answer = await self._ledger.reserve(ask, counted)
        except asyncio.CancelledError:
            # whether the reservation was made is not known here: its reply was not waited for
            await self._ledger.release(self._holder, "cancelled before it was sent")
            raise
        if isinstance(answer, Refused):
            _refuse(answer, ask, counted)
        if answer.second_purchase:
            _log.warning(
                "purchase.second",
                service=ask.service,
                model=ask.model,
                amount_usd=str(ask.amount_usd),
                before=str(before.reservation) if before else None,
                before_state=before.state if before else None,
            )

    async def _send(self, reservation: UUID) -> Answer[Result]:
        """From here nothing interrupts; see `_to_its_end`."""
        sent = await self._ledger.sent(reservation, self._buyer.attempt)
        if isinstance(sent, Refused):
            await self._end_unbilled(reservation, f"not sent: {sent.why}", is_in_journal=False)
            raise Halted if sent.why == "halted" else Superseded("the record says that this attempt is over")
        try:
            await asyncio.to_thread(
                self._shop.journal.sent,
                sent.ask,
                second_purchase=sent.second_purchase,
                reserved_at=sent.reserved_at,
            )
        except OSError as error:
            await self._end_unbilled(reservation, f"not sent: {error}", is_in_journal=False)
            raise RetryableError(f"the journal cannot be written, so nothing was bought: {error}") from error
        try:
            with traces.span(f"call {sent.ask.service}", service=sent.ask.service, model=sent.ask.model):
                answer = await self._adapter.call(self._order, sent.permission, self._out)
        except BilledError as error:
            await self._settle(sent, error.used, error.request_id, result=None, files=())
            raise
        except (RetryableError, PermanentError) as error:
            await self._end_unbilled(reservation, f"{type(error).__name__}: {error}")
            raise
        except BaseException as error:  # whatever else it is, the request may have been billed
            ended = await self._ledger.unknown(reservation, f"{type(error).__name__}: {error}")
            self.is_ended = reservation == self._holder
            _log.warning("purchase.unknown", reservation=str(reservation), state=ended.state, error=str(error))
            raise
        return await self._store_and_settle(sent, answer)

    async def _store_and_settle(self, sent: Sent, answer: Answer[Result]) -> Answer[Result]:
        try:
            files = await self._stored()
        except (ArtifactError, OSError):
            # it is paid for, and cannot be kept: what is bought in its place counts as a second purchase
            await self._settle(sent, answer.used, answer.request_id, result=None, files=())
            raise
        await self._settle(sent, answer.used, answer.request_id, result=msgspec.json.encode(answer), files=files)
        return answer

    async def _stored(self) -> tuple[StoredFile, ...]:
        """Keep the files; a store that has gone away since it was asked is waited for, since they are paid for."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _STORE_PATIENCE_S
        while True:
            try:
                return await asyncio.to_thread(store, self._shop.artifacts, self._key, self._out)
            except StoreUnavailableError as error:
                if loop.time() > until_s:
                    raise
                _log.warning("purchase.waits_for_store", error=str(error), hint=error.hint)
            await asyncio.sleep(_STORE_LOOK_S)

    async def _settle(
        self, sent: Sent, used: dict[str, int], request_id: str, *, result: bytes | None, files: tuple[StoredFile, ...]
    ) -> None:
        """Book the bill, into the journal first."""
        ask = sent.ask
        try:
            billed_usd = self._shop.prices.bill_usd(ask.service, ask.model, used)
        except UnknownPriceError as error:
            billed_usd = ask.amount_usd
            _log.error("purchase.bill_not_understood", counted_usd=str(billed_usd), error=str(error))
        try:
            await asyncio.to_thread(
                self._shop.journal.paid,
                ask.id,
                billed_usd,
                used=used,
                request_id=request_id,
                result=result,
                files=files,
            )
        except OSError as error:
            _log.error("journal.not_written", reservation=str(ask.id), error=str(error))
        ended = await self._ledger.settle(
            ask.id, billed_usd, used=used, request_id=request_id, result=result, files=files
        )
        self.is_ended = ask.id == self._holder
        _log.info(
            "purchase.settled", service=ask.service, model=ask.model, billed_usd=str(billed_usd), state=ended.state
        )
        if ended.overrun:
            overrun = await self._shop.overruns.hold(ask.id)
            _log.error("purchase.overrun", reason=overrun.reason)

    async def _end_unbilled(self, reservation: UUID, why: str, *, is_in_journal: bool = True) -> None:
        ended = await self._ledger.release(reservation, why)
        self.is_ended = reservation == self._holder
        if is_in_journal and ended.state == "released":
            try:
                await asyncio.to_thread(self._shop.journal.released, reservation, why)
            except OSError as error:
                _log.error("journal.not_written", reservation=str(reservation), error=str(error))


def _refuse(refused: Refused, ask: Ask, counted: tuple[Quota, ...]) -> NoReturn:
    """Say why not, in the words of the error that decides what happens next."""
    what = f"{ask.service} {ask.model} may cost {dollars(ask.amount_usd)}"
    left = dollars(refused.left_usd or Decimal(0))
    match refused.why:
        case "superseded":
            raise Superseded("the record says that this attempt is over")
        case "halted":
            raise Halted
        case "over_video":
            raise BudgetError(
                f"cost_cap: {what}, and {left} is left of the video's budget",
                hint="mode economy, a shorter length, or a higher YTEMPIRE_VIDEO_BUDGET_USD",
            )
        case "over_day":
            raise BudgetError(
                f"cost_cap: {what}, and {left} is left of today's budget",
                hint="it is whole again at midnight (UTC); YTEMPIRE_DAY_BUDGET_USD sets it",
            )
        case "price_refused":
            raise BudgetError(
                f"cost_cap: {ask.service} {ask.model} has billed more than its price says ({ask.price})",
                hint="correct the price in the file that YTEMPIRE_PRICES names",
            )
        case "over_quota":
            wait_s = next((quota.slice_s for quota in counted if quota.name == refused.quota), None)
            raise RateLimitedError(f"the quota is used up: {refused.quota}", retry_after_s=wait_s)


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end, whoever cancels meanwhile; the cancellation is raised once it has ended."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled() and (failure := task.exception()) is not None:
        raise cancelled from failure
    raise cancelled
