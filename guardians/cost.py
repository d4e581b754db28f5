"""The cost guardian: what videos, the hour and the day cost, and what is done before a budget has to say no.

No call that would cross a budget is made, whoever watches: this makes it rare. A video in hand that has cost 2.50 is
said, at 2.80 it goes on in economy mode until it ends; above its budget, which only a bill above its price or a hand
at psql can bring about, all is halted. Where no call fits the day any more all is halted, so that no video fails for
want of money, until midnight (UTC); an operator who resumes goes on with what costs nothing. An hour that has cost $25
puts all into economy mode; where that has not slowed spending down after a while all is paused: what runs may end, its
money is set aside. Both end when the hour has become cheap again. Overruns that nobody held for are held for here.

Videos and hour are judged by what was spent, since what is set aside is more than what comes of it; the day by both.
What a former process said about a video may be said once more.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from guardians.orders import Orders
from guardians.watch import Actions, Level, export_limits, watch
from schema.money.calls import dollars
from schema.money.overruns import Overruns
from schema.money.statement import Statement, Total
from schema.telemetry import metrics
from streams.process import Process

VIDEO: Final = "video_cost"
OVER_BUDGET: Final = "over_budget"
DAY: Final = "day_budget"
HOUR: Final = "burn_rate"
#: An hour is cheap again below this share of its limit, so that what was ordered does not flicker.
_CHEAP: Final = Decimal("0.8")
_HOUR_S: Final = 3600.0


class CostGuardian:
    """What was said of the videos in hand, from one tick to the next."""

    def __init__(self, process: Process) -> None:
        self._process, self._limits = process, process.settings.limits
        self._statement, self._overruns = Statement(process.postgres), Overruns(process.postgres)
        self._actions, self._orders = Actions(process), Orders(process)
        self._levels: dict[str, Level] = {}
        self._saving: frozenset[str] = frozenset()
        #: Since when economy mode for all is seen to stand.
        self._since_s: float | None = None
        limits = self._limits
        bands = {"warning": float(limits.video_warning_usd), "critical": float(limits.video_economy_usd)}
        export_limits(process.name, "dearest_video", **bands)
        export_limits(process.name, "video_budget", critical=float(limits.video_budget_usd))
        export_limits(process.name, "day", critical=float(limits.day_budget_usd))
        export_limits(process.name, "last_hour", critical=float(limits.hour_budget_usd))

    async def tick(self) -> None:
        """Look, export, act."""
        await self._actions.flush()
        in_hand, today = await self._statement.in_hand(), await self._statement.today()
        hour_usd = await self._statement.last_hour_usd()
        dearest = max((total.spent_usd for _, total in in_hand), default=Decimal(0))
        for figure, usd in (("day", today.counted_usd), ("last_hour", hour_usd), ("dearest_video", dearest)):
            metrics.COST_USD.labels(figure).set(float(usd))
        await self._hold_overruns()
        await self._orders.read()
        await self._judge_videos(dict(in_hand))
        await self._judge_day(today)
        await self._judge_hour(hour_usd)

    async def _hold_overruns(self) -> None:
        """Holds that were missed: whoever should have placed them died after the bill was booked."""
        for missed in await self._overruns.not_held():
            overrun = await self._overruns.hold(missed.reservation)
            await self._say("cost.held", "cost_overrun", overrun.reason, video=overrun.video, action="HALT processing")

    async def _judge_videos(self, in_hand: dict[str, Total]) -> None:
        before, self._levels = self._levels, {}
        for video, total in in_hand.items():
            if (level := self._level(total.spent_usd)) == "normal":
                continue
            self._levels[video] = level
            reason = f"it has cost {dollars(total.spent_usd)} ({self._allowed()})"
            if level == "warning" and before.get(video) is None:
                await self._say("cost.level", VIDEO, reason, level=level, video=video)
            if level == "critical" and await self._orders.save(VIDEO, reason, video):
                await self._say("cost.economy", VIDEO, reason, video=video, action="Reduce its remaining cost")
            if total.spent_usd > self._limits.video_budget_usd:
                await self._halt_for(video, reason)
        saving = frozenset(video for video, cause in self._orders.standing.modes if cause == VIDEO)
        for video in self._saving - saving - in_hand.keys():
            await self._say("cost.economy_lifted", VIDEO, "the video has ended", level="normal", video=video)
        self._saving = saving

    async def _halt_for(self, video: str, reason: str) -> None:
        """For each such video once: only an operator knows when it is over."""
        why = f"{video}: {reason}; identify the expensive calls, then resume"
        if await self._orders.hold("halt", f"{OVER_BUDGET}:{video}", why):
            await self._say("cost.held", OVER_BUDGET, why, video=video, action="HALT processing")

    async def _judge_day(self, today: Total) -> None:
        """Hold where no call fits; a factory that may spend nothing has no such day."""
        limits = self._limits
        left_usd = limits.day_budget_usd - today.counted_usd
        if today.counted_usd > 0 and left_usd < limits.day_call_usd:
            reason = (
                f"{dollars(today.counted_usd)} of {dollars(limits.day_budget_usd)} are spent or set aside today: no "
                "call fits any more before midnight (UTC); resume goes on with what costs nothing"
            )
            if await self._orders.hold("halt", DAY, reason):
                await self._say("cost.held", DAY, reason, action="Wait for midnight, or raise YTEMPIRE_DAY_BUDGET_USD")
        elif left_usd >= min(2 * limits.day_call_usd, limits.day_budget_usd):
            reason = f"{dollars(left_usd)} are left of today's budget"
            if await self._orders.release(DAY, reason):
                await self._say("cost.released", DAY, reason, level="normal")

    async def _judge_hour(self, hour_usd: Decimal) -> None:
        limit_usd = self._limits.hour_budget_usd
        reason = f"the last hour has cost {dollars(hour_usd)} (limit {dollars(limit_usd)})"
        if hour_usd >= limit_usd:
            if await self._orders.save(HOUR, reason):
                await self._say("cost.economy", HOUR, reason, action="Identify expensive operations")
            await self._judge_saving()
        elif hour_usd < _CHEAP * limit_usd:
            self._since_s = None
            if await self._orders.release(HOUR, reason):
                await self._say("cost.released", HOUR, reason, level="normal")
            if await self._orders.spend(HOUR, reason):
                await self._say("cost.economy_lifted", HOUR, reason, level="normal")

    async def _judge_saving(self) -> None:
        """Pause where economy mode stands for a while and as much is spent as before."""
        patience_s, now_s = self._limits.burn_patience_s, self._process.clock.monotonic_s()
        if ("", HOUR) not in self._orders.standing.modes:
            self._since_s = None
            return
        self._since_s = now_s if self._since_s is None else self._since_s
        if now_s - self._since_s < patience_s:
            return
        spent_usd = await self._statement.last_usd(patience_s)
        an_hour_usd = (spent_usd * Decimal(_HOUR_S) / Decimal(patience_s)).quantize(Decimal("0.01"))
        if an_hour_usd >= self._limits.hour_budget_usd:
            reason = (
                f"economy mode has not helped: {dollars(spent_usd)} in the last {patience_s:g} s, "
                f"which is {dollars(an_hour_usd)} an hour (limit {dollars(self._limits.hour_budget_usd)})"
            )
            if await self._orders.hold("pause", HOUR, reason):
                await self._say("cost.held", HOUR, reason, action="Identify expensive operations, then resume")

    def _level(self, spent_usd: Decimal) -> Level:
        """At a limit it is already the worse of the two."""
        if spent_usd >= self._limits.video_economy_usd:
            return "critical"
        return "warning" if spent_usd >= self._limits.video_warning_usd else "normal"

    def _allowed(self) -> str:
        limits = self._limits
        return (
            f"warning from {dollars(limits.video_warning_usd)}, economy mode from {dollars(limits.video_economy_usd)}, "
            f"never above {dollars(limits.video_budget_usd)}"
        )

    async def _say(
        self, type_: str, cause: str, reason: str, *, level: Level = "critical", video: str = "", action: str = ""
    ) -> None:
        await self._actions.say(type_, cause=cause, reason=reason, level=level, video=video, action=action)


async def run(process: Process) -> None:
    """Watch until cancelled."""
    await watch(process, CostGuardian(process).tick)
