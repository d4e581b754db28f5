"""The quality stage: opens the finished file, measures it against its plan, and gives it its final name.

What goes with the film gets that name, too, and beside it lies a contact sheet: one glance tells what it is. What was
bought and is to blame for a film that is refused is struck off: nobody is handed it again.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import NoReturn

import structlog

from actors import child
from actors.rendering.order import SHEET, Inspection, InspectionOrder
from actors.task import Task
from schema.documents import Film, Finding, Script, Speech, Verdict
from schema.errors import PermanentError

#: Whose work it is when a check fails that the renderer has no part in.
_BLAMED = {"black": "media", "frozen": "media", "silence": "audio", "voice": "audio"}
_log = structlog.get_logger(__name__)


async def check(task: Task) -> Verdict:
    """The verdict; raises PermanentError with every finding when the film is not what was planned."""
    film, speech = task.claim.input("render", Film), task.claim.input("audio", Speech)
    sheet, cost = task.scratch / f"sheet{SHEET}", await task.market.spent_usd(task.claim.video)
    with ExitStack() as open_files:
        order = InspectionOrder(
            film=str(open_files.enter_context(task.artifacts.local(film.video))),
            plan=str(open_files.enter_context(task.artifacts.local(film.plan))),
            voice=str(open_files.enter_context(task.artifacts.local(speech.audio))),
            video=task.settings.video,
            perceptual=task.mode().perceptual_check,
            sheet_out=str(sheet),
            title=task.claim.input("script", Script).title,
            cost=f"${cost:.2f}",
        )
        inspection = await child.run("inspect", order, Inspection, task)
    if not inspection.passed:
        if sheet.exists():
            kept = task.artifacts.put(sheet, task.artifact_path(sheet.name))
            _log.warning("film.refused", contact_sheet=task.artifacts.location(kept.path))
        await _refuse(task, [finding for finding in inspection.findings if not finding.passed])
    # The film comes last: where it is, all that goes with it is.
    name = f"videos/{task.claim.video}"
    beside = [task.artifacts.promote(ref, f"{name}{PurePosixPath(ref.path).suffix}") for ref in film.beside]
    if sheet.exists():
        beside.append(task.artifacts.put(sheet, f"{name}{SHEET}"))
    final = task.artifacts.promote(film.video, f"{name}.mp4")
    return Verdict(passed=True, findings=inspection.findings, video=final, beside=tuple(beside))


async def _refuse(task: Task, failed: list[Finding]) -> NoReturn:
    blamed = sorted({_BLAMED[finding.check] for finding in failed if finding.check in _BLAMED})
    for stage in blamed:
        if struck := await task.market.strike_off(task.claim.video, stage):
            _log.warning("bought.struck_off", stage_to_blame=stage, results=struck)
    found = "; ".join(f"{finding.check}: {finding.measured} (allowed: {finding.allowed})" for finding in failed)
    raise PermanentError(
        f"the finished film is not what was planned: {found}",
        hint=f"./ytempire retry {task.claim.video} --from {blamed[0] if blamed else 'render'}",
    )
