"""The quality stage: opens the finished file, measures it against its plan, and gives it its final name."""

from __future__ import annotations

from contextlib import ExitStack

from actors import child
from actors.rendering.order import Inspection, InspectionOrder
from actors.task import Task
from schema.documents import Film, Speech, Verdict
from schema.errors import PermanentError


async def check(task: Task) -> Verdict:
    """The verdict; raises PermanentError with every finding when the film is not what was planned."""
    film, speech = task.claim.input("render", Film), task.claim.input("audio", Speech)
    with ExitStack() as open_files:
        order = InspectionOrder(
            film=str(open_files.enter_context(task.artifacts.local(film.video))),
            plan=str(open_files.enter_context(task.artifacts.local(film.plan))),
            voice=str(open_files.enter_context(task.artifacts.local(speech.audio))),
            video=task.settings.video,
            perceptual=task.mode().perceptual_check,
        )
        inspection = await child.run("inspect", order, Inspection, task)
    if not inspection.passed:
        failed = "; ".join(
            f"{finding.check}: {finding.measured} (allowed: {finding.allowed})"
            for finding in inspection.findings
            if not finding.passed
        )
        raise PermanentError(f"the finished film is not what was planned: {failed}")
    final = task.artifacts.promote(film.video, f"videos/{task.claim.video}.mp4")
    return Verdict(passed=True, findings=inspection.findings, video=final)
