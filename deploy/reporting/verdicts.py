"""What a look at the factory finds: each thing with its verdict, the command it stands for, and what to do.

`morning` is the runbook's checklist, `hourly` its hourly look. Both only look: what is to be done about it guardians
do, or a person. What nobody can know is "?", which is no fault; what a machine has not got is "not here". Processes on
other hosts are not asked: each host looks at those that YTEMPIRE_ACTORS gives it. It is longer than most files,
since each of a dozen looks is a few lines of its own.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal
from urllib.request import ProxyHandler, build_opener

import msgspec

from deploy.exporters import Exporters, Heard
from deploy.reporting.daily import usd
from schema.money.statement import Statement
from schema.record.chore_runs import ChoreRuns
from schema.record.days import Days
from schema.record.figures import Figures
from schema.record.gate import GateRecord
from schema.record.postgres import Postgres
from schema.settings.environment import Settings
from streams.transport.port import DeadLetter

State = Literal["ok", "bad", "not here", "?"]
_DIRECT: Final = build_opener(ProxyHandler({}))
_PATIENCE_S: Final = 5.0
#: A guardian that has not looked for so many of its ticks is silent, but at least so many seconds.
_SILENT_TICKS, _SILENT_S = 10, 60.0
#: Of the day's budget, the share that is worth a look.
_DEAR: Final = Decimal("0.8")


class Verdict(msgspec.Struct, frozen=True):
    """One thing that was looked at; `line` is the command that shows the same, `hint` what to do where it is bad."""

    about: str
    state: State
    said: str
    line: str
    hint: str = ""


class Looker:
    """Looks at one factory."""

    def __init__(
        self,
        postgres: Postgres,
        settings: Settings,
        data_dir: Path,
        now: datetime,
        letters: Sequence[DeadLetter] | None,
    ) -> None:
        """`letters` are the dead letters; None: Redis does not answer."""
        self._postgres, self._settings, self._limits = postgres, settings, settings.limits
        self._data_dir, self._now, self._letters = data_dir, now, letters

    async def morning(self) -> list[Verdict]:
        """The morning checklist, in the runbook's order."""
        heard = await Exporters(self._settings.servers).hear()
        return [
            await self._health(heard),
            self._processes(heard),
            await self._gate(),
            await self._recent(),
            await self._yesterday(),
            self._disk(),
            self._card(heard),
            await self._stuck(),
            self._dead_letters(within=timedelta(days=1)),
            await self._chores(),
        ]

    async def hourly(self) -> list[Verdict]:
        """The hourly look: cost, queue, success, resources."""
        heard = await Exporters(self._settings.servers).hear()
        window = await Figures(self._postgres).window(self._limits.figures_window_s)
        return [
            await self._cost(),
            await self._hour(),
            self._queue(window.queued),
            self._success(window.completed, window.ended),
            self._disk(),
            self._card(heard),
            self._processes(heard),
            self._dead_letters(within=timedelta(hours=1)),
        ]

    async def _health(self, heard: Heard) -> Verdict:
        port = self._settings.servers.gateway_port
        url = f"http://127.0.0.1:{port}/health/detailed"
        line = f"curl -s http://localhost:{port}/health/detailed | jq '.'"
        if "gateway" not in heard.processes:
            return Verdict("health", "not here", "another host runs the gateway (YTEMPIRE_ACTORS)", line)
        try:
            told = msgspec.json.decode(await asyncio.to_thread(_fetched, url))
            parts = {name: part["status"] for name, part in told["components"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, msgspec.DecodeError) as error:
            return Verdict("health", "bad", f"the gateway does not answer: {error}", line, "./ytempire doctor")
        said = ", ".join(f"{name} {state}" for name, state in parts.items())
        return Verdict("health", "ok" if told.get("status") == "ok" else "bad", said, line, "./ytempire doctor")

    def _processes(self, heard: Heard) -> Verdict:
        line = f"curl -s http://localhost:{self._settings.servers.metrics_port}/metrics"
        silent_s = max(_SILENT_S, _SILENT_TICKS * self._settings.servers.guardian_tick_s)
        missing = [name for name, answers in heard.processes.items() if not answers]
        silent = [one.name for one in heard.guardians if one.answers and (one.looked_s_ago or 0) > silent_s]
        if not missing and not silent:
            return Verdict("processes", "ok", f"all {len(heard.processes)} answer, guardians look", line)
        said = "; ".join(
            f"{what}: {', '.join(names)}"
            for what, names in (("do not answer", missing), ("do not look", silent))
            if names
        )
        hint = "see logs/pipeline.log; ./ytempire up and the units start again what has died"
        return Verdict("processes", "bad", f"{said} (those on other hosts are not asked)", line, hint)

    async def _gate(self) -> Verdict:
        truth = await GateRecord(self._postgres).read()
        why = "; ".join(f"{hold.kind} by {hold.by}: {hold.reason or hold.cause or 'no reason'}" for hold in truth.holds)
        return Verdict(
            "gate", "bad" if truth.holds else "ok", why or truth.state, "./ytempire status --once", "./ytempire resume"
        )

    async def _recent(self) -> Verdict:
        found = await Days(self._postgres).recent()
        said = ", ".join(f"{status} {count}" for status, count in found.items()) or "nothing was asked for"
        query = (
            "SELECT status, COUNT(*) FROM video_queue WHERE created_at > NOW() - INTERVAL '24 hours' GROUP BY status;"
        )
        return Verdict("queue, 24 hours", "ok", said, _psql(query))

    async def _yesterday(self) -> Verdict:
        yesterday = (self._now - timedelta(days=1)).date()
        seen, spent = await Figures(self._postgres).day(yesterday), await Statement(self._postgres).of_day(yesterday)
        said = f"{seen.completed} completed, {seen.failed} failed, {usd(spent.spent_usd)}"
        ended, limit = seen.completed + seen.failed, self._limits.error_rate_critical_percent
        bad = ended >= self._limits.figures_min_ended and 100 * seen.failed / ended > limit
        line = f"curl -s http://localhost:{self._settings.servers.gateway_port}/metrics/daily | jq '.'"
        return Verdict("yesterday", "bad" if bad else "ok", said, line, "./ytempire report")

    def _disk(self) -> Verdict:
        folder, limit = self._data_dir, self._limits.disk_usage_percent
        try:
            usage = shutil.disk_usage(folder)
        except OSError as error:
            return Verdict("disk", "bad", str(error), f"df -h {folder}", "set YTEMPIRE_DATA_DIR, or --data DIR")
        percent = 100 * usage.used / (usage.used + usage.free)
        said = f"{percent:.0f}% used, {usage.free / 1e9:.1f} GB free (limit {limit:g}%)"
        return Verdict("disk", "bad" if percent > limit else "ok", said, f"df -h {folder}", "./ytempire clean")

    def _card(self, heard: Heard) -> Verdict:
        line, limits = "nvidia-smi", self._limits
        if not heard.cards:
            return Verdict("gpu", "?" if heard.processes.get("gpu") is False else "not here", heard.why_no_card(), line)
        told, bad = [], False
        for card in heard.cards:
            share = limits.gpu_free_mb / limits.gpu_card_mb
            if card.free_mb is not None and card.total_mb:
                bad = bad or card.free_mb < share * card.total_mb
            figures = (("free", card.free_mb, "MB"), ("busy", card.utilization_percent, "%"))
            told.append(f"{card.card}: " + ", ".join(f"{n} {v:.0f} {u}" for n, v, u in figures if v is not None))
        hint = "redis-cli XADD stream:control '*' type release_gpu"
        return Verdict("gpu", "bad" if bad else "ok", "; ".join(told), line, hint)

    async def _stuck(self) -> Verdict:
        stuck = await Days(self._postgres).stuck()
        query = (
            "SELECT id, processing_started_at FROM video_queue WHERE status = 'processing' "
            "AND processing_started_at < NOW() - INTERVAL '30 minutes';"
        )
        said = f"{stuck} processed for more than 30 minutes" if stuck else "none"
        hint = "./ytempire status: the stuck guardian takes up what is dead; a held factory is not stuck"
        return Verdict("stuck jobs", "bad" if stuck else "ok", said, _psql(query), hint)

    async def _chores(self) -> Verdict:
        runs = await ChoreRuns(self._postgres).latest()
        failed = [run for run in runs if run.outcome == "failed"]
        query = "SELECT DISTINCT ON (chore) chore, due_at, outcome FROM chore_runs ORDER BY chore, due_at DESC;"
        if not runs:
            return Verdict(
                "chores", "?", "none was done: timers do them, or the process `chores` does not run", _psql(query)
            )
        said = ", ".join(f"{run.chore} {run.outcome} {run.due_at:%a %H:%M}" for run in failed or runs)
        return Verdict("chores", "bad" if failed else "ok", said, _psql(query), "./ytempire chores")

    async def _cost(self) -> Verdict:
        today, budget = await Statement(self._postgres).today(), self._limits.day_budget_usd
        said = f"{usd(today.spent_usd)} spent, {usd(today.reserved_usd)} set aside, of {usd(budget)}"
        bad = today.counted_usd > 0 and today.counted_usd >= _DEAR * budget
        return Verdict("cost today", "bad" if bad else "ok", said, "./ytempire costs", "./ytempire mode economy")

    async def _hour(self) -> Verdict:
        hour, limit = await Statement(self._postgres).last_hour_usd(), self._limits.hour_budget_usd
        state: State = "bad" if hour > 0 and hour >= limit else "ok"
        query = (
            "SELECT service, AVG(amount) AS avg_cost, COUNT(*) AS count FROM pipeline_costs "
            "WHERE timestamp > NOW() - INTERVAL '1 hour' GROUP BY service ORDER BY avg_cost DESC;"
        )
        return Verdict(
            "cost, last hour", state, f"{usd(hour)} of {usd(limit)}", _psql(query), "./ytempire mode economy"
        )

    def _queue(self, queued: int) -> Verdict:
        limit = self._limits.queue_depth_critical
        state: State = "bad" if queued > limit else "ok"
        said, hint = f"{queued} queued (critical above {limit})", "./ytempire bottleneck"
        return Verdict("queue", state, said, "redis-cli zcard queue:priority", hint)

    def _success(self, completed: int, ended: int) -> Verdict:
        limit, least = 100 - self._limits.error_rate_critical_percent, self._limits.figures_min_ended
        line = "./ytempire videos --status failed"
        if ended < least:
            said = f"{completed} of {ended} ended videos were completed: fewer than {least} give no rate"
            return Verdict("success rate", "?", said, line)
        rate = 100 * completed / ended
        return Verdict(
            "success rate", "bad" if rate < limit else "ok", f"{rate:.0f}% (critical below {limit:g}%)", line, line
        )

    def _dead_letters(self, *, within: timedelta) -> Verdict:
        line = "redis-cli XLEN stream:dead"
        if self._letters is None:
            return Verdict("dead letters", "bad", "Redis does not answer", line, "./ytempire doctor")
        since_ms = int((self._now - within).timestamp() * 1000)
        new = [one for one in self._letters if not one.requeued and int(one.id.partition("-")[0]) >= since_ms]
        said = f"{len(new)} within {within.total_seconds() / 3600:g} h, {len(self._letters)} kept"
        return Verdict("dead letters", "bad" if new else "ok", said, line, "./ytempire requeue")


def worst(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those that a person has to do something about."""
    return [verdict for verdict in verdicts if verdict.state == "bad"]


def _psql(query: str) -> str:
    return f'psql -U ytempire -c "{query}"'


def _fetched(url: str) -> bytes:
    with _DIRECT.open(url, timeout=_PATIENCE_S) as answer:
        return bytes(answer.read())
