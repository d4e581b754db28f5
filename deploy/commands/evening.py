"""`report` and `wrap`: a day on a page, and the end of the day, step by step.

Exit code of `wrap`: 1 when a step failed; the steps after it are done all the same.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from deploy.commands.connections import record
from deploy.commands.terminal import FAILED, DataOption, JsonOption, data_dir, running_factory
from deploy.launch.data_directory import Addresses
from deploy.launch.plan import ROOT
from schema.errors import ConfigurationError, PipelineError, RefusedError, RetryableError
from schema.settings import environment

if TYPE_CHECKING:
    from deploy.reporting.daily import Report


def report(
    day: Annotated[str, typer.Option(help="A day (UTC), `today`, or `yesterday`.", metavar="YYYY-MM-DD")] = "yesterday",
    out: Annotated[Path | None, typer.Option(help="Write the page, with plots, to this file.", metavar="FILE")] = None,
    send: Annotated[bool, typer.Option("--send", help="Tell it to whom YTEMPIRE_ALERTS_TO names.")] = False,  # noqa: FBT002 - a flag of the command line
    data: DataOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """Report a day: key figures, videos per hour, cost by service, time by stage, failures.

    Prints it as text; with --out it is an HTML page that needs nothing else, for a browser, a mail or paper.
    """
    found = asyncio.run(_gather(running_factory(data), _day(day)))
    if json:
        print(msgspec.json.encode(found).decode())
        return
    if out is not None:
        print(_written(found, out))
    if send:
        print(_told(found))
    if out is not None or send:
        return
    from deploy.reporting import page  # noqa: PLC0415 - every command imports this module

    print(page.text(found), end="")


def wrap(data: DataOption = None) -> int:
    """End the day: report, backup, clean, vacuum, summary.

    The report goes to reports/ in the data directory, the summary to whom YTEMPIRE_ALERTS_TO names. Each step says how
    long it took; exit code 1 when one failed.
    """
    factory, folder = running_factory(data), data_dir(data)
    found = asyncio.run(_gather(factory, datetime.now(UTC).date()))
    page = folder / "reports" / f"{found.day}.html"
    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("report", lambda: _written(found, page)),
        ("backup", lambda: _command(folder, "backup", "--class", "daily")),
        ("clean", lambda: _command(folder, "clean", "--yes")),
        ("vacuum", lambda: _vacuumed(factory.database_url)),
        ("summary", lambda: _told(found)),
    )
    well = [_step(name, step) for name, step in steps]
    return 0 if all(well) else FAILED


def _step(name: str, step: Callable[[], str]) -> bool:
    begun_s, well = time.monotonic(), True
    try:
        said = step()
    except (PipelineError, OSError) as error:
        said, well = str(error), False
    print(f"{'ok ' if well else 'BAD'} {name:<8} {time.monotonic() - begun_s:6.1f} s  {said}", flush=True)
    return well


async def _gather(factory: Addresses, day: date) -> Report:
    from deploy.reporting import daily  # noqa: PLC0415 - every command imports this module

    async with record(factory.database_url) as postgres:
        return await daily.gather(postgres, environment.read().limits, day, datetime.now(UTC))


def _written(found: Report, path: Path) -> str:
    """Write the page, whole or not at all; returns where it is."""
    from deploy.reporting import page  # noqa: PLC0415 - every command imports this module

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_text(page.html(found), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"the report cannot be written: {error}", hint="--out FILE") from error
    return str(path)


def _command(folder: Path, *words: str) -> str:
    """Another command, in a process of its own: its last line; raises where it fails."""
    command = (sys.executable, "-m", "deploy", *words, "--data", str(folder))
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout if done.returncode == 0 else done.stderr).splitlines() if line.strip()]
    if done.returncode != 0:
        raise RetryableError(f"{said[-1] if said else f'exit code {done.returncode}'} (./ytempire {' '.join(words)})")
    return said[-1] if said else "done"


def _vacuumed(database_url: str) -> str:
    from schema.record import upkeep  # noqa: PLC0415 - every command imports this module

    return f'{asyncio.run(upkeep.vacuum(database_url))} tables; psql -U ytempire -c "VACUUM ANALYZE video_queue;"'


def _told(found: Report) -> str:
    """Tell the day to whoever is set to be told; raises where nobody took it."""
    from deploy.reporting import delivery, page  # noqa: PLC0415 - every command imports this module

    to = delivery.targets(environment.read().operations.alerts_to)
    if not to:
        return f"{found.summary} (nobody is set in YTEMPIRE_ALERTS_TO)"
    sent = delivery.deliver(to, f"YTEMPIRE {found.summary}", page.text(found), level="info")
    if sent.failed:
        raise RetryableError("; ".join(f"{where}: {why}" for where, why in sent.failed.items()))
    return f"{found.summary}; told {', '.join(one.shown for one in to)}"


def _day(text: str) -> date:
    today = datetime.now(UTC).date()
    if text in ("today", "yesterday"):
        return today if text == "today" else today - timedelta(days=1)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError(
            f"--day is {text!r}: expected a day such as 2026-11-24, today or yesterday", hint="--day 2026-11-24"
        ) from None
