"""The rounds: in each, one after the other makes the same film; then the next film, then the next round.

The bare encoder of a job keeps its frames in memory for all its rounds, which saves making them anew.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from schema.settings.video import Video
from tests.bench.render import contestants, jobs
from tests.bench.render.asked import CONTESTANTS, Options
from tests.bench.render.asked import Job as JobName
from tests.bench.render.figures import Measured
from tests.bench.render.jobs import Job
from tests.bench.render.parts import Parts
from tests.bench.render.running import ContestantError, Used, run

_MATERIALS_S: Final = 300.0
_MOST_ROUNDS: Final = 3
#: Whose films take minutes, and where they are made nevertheless: once.
_SLOW: Final = "moviepy"


class Films:
    """Materials, jobs, and what makes them, in one folder."""

    def __init__(self, options: Options, folder: Path, say: Callable[[str], None]) -> None:
        self.options, self._folder, self._say = options, folder, say
        self._chosen = options.contestants or CONTESTANTS
        self._python: Path | None = None
        self._unavailable = ""
        if _SLOW in self._chosen:
            say("packages of moviepy")
            try:
                self._python = contestants.moviepy_python()
            except ContestantError as error:
                self._unavailable = str(error)
        #: From here on the clock runs.
        self.began_s = time.monotonic()
        say("pictures, clips and a voice")
        tiny = ("--tiny",) if options.tiny else ()
        command = (sys.executable, "-m", "tests.bench.render.materials", folder, *tiny)
        run(command, folder, within_s=_MATERIALS_S)

    def job(self, name: JobName, *, folder: str = "", preset: str = "", gpu: str = "cpu") -> Job:
        """One of the films, on the CPU unless told otherwise."""
        video = Video(gpu=gpu, video_quality="720p" if self.options.tiny else "1080p")
        if preset:
            video = msgspec.structs.replace(video, preset=preset)
        return jobs.job(name, self._folder, self._folder / (folder or name), video=video)

    def folder(self, name: str) -> Path:
        """Another one, beside those of the jobs."""
        return self._folder / name

    def rounds(self, names: Sequence[JobName], ends_s: float) -> Sequence[Measured]:
        """All rounds of all jobs, by job; those that are not there in time are left out, but for the first."""
        measured: list[Measured] = []
        for place, name in enumerate(names):
            # Each job has its share of what is left.
            until_s = time.monotonic() + max(0.0, ends_s - time.monotonic()) / (len(names) - place)
            measured.append(self._measured(self.job(name), until_s))
        return measured

    def _measured(self, job: Job, until_s: float) -> Measured:
        found: dict[str, list[Used]] = {}
        failures = {_SLOW: self._unavailable} if self._unavailable else {}
        self._say(f"{job.name}: {jobs.what(job.name)}")
        try:
            first, made = contestants.ours(job)
        except ContestantError as error:
            self._say(f"  not here yet: {error}")
            return Measured(job.name, failures=dict.fromkeys(self._chosen, f"not here yet: {error}"))
        plan = contestants.read_plan(job)
        found["ours"] = [first]
        self._say(f"  round 1: ours, {made.frames} frames")
        self._rounds(job, found, failures, until_s)
        return Measured(
            job.name,
            frames=plan.frames,
            fps=plan.fps,
            of=found,
            failures=failures,
            parts=self._parts(job, failures),
            inspection=self._tried("inspection", lambda: contestants.inspection(job), failures),
        )

    def _rounds(self, job: Job, found: dict[str, list[Used]], failures: dict[str, str], until_s: float) -> None:
        if "bare" not in self._chosen:
            self._all(job, found, failures, until_s, {})
            return
        try:
            with contestants.bare(job) as bare:
                self._all(job, found, failures, until_s, {"bare": bare.encode})
        except ContestantError as error:
            failures["bare"] = str(error)

    def _all(
        self,
        job: Job,
        found: dict[str, list[Used]],
        failures: dict[str, str],
        until_s: float,
        held: dict[str, Callable[[], Used]],
    ) -> None:
        python = self._python
        makes: dict[str, Callable[[], Used]] = {
            "ours": lambda: contestants.ours(job)[0],
            **held,
            "ffmpeg": lambda: contestants.ffmpeg(job),
        }
        if python is not None and (job.name == "still" or self.options.long):
            makes[_SLOW] = lambda: contestants.moviepy(job, python)
        longest_s = 0.0
        for number in range(1, (self.options.rounds or _MOST_ROUNDS) + 1):
            began_s = time.monotonic()
            if self.options.rounds is None and number > 1 and began_s + longest_s > until_s:
                return
            for who, make in makes.items():
                is_done = number == 1 and who == "ours"  # it had to come before the others
                if who in self._chosen and who not in failures and not is_done and (number == 1 or who != _SLOW):
                    self._say(f"  round {number}: {who}")
                    if used := self._tried(who, make, failures):
                        found.setdefault(who, []).append(used)
            slow_s = found[_SLOW][0].wall_s if number == 1 and _SLOW in found else 0.0
            longest_s = max(longest_s, time.monotonic() - began_s - slow_s)

    def _tried(self, who: str, make: Callable[[], Used], failures: dict[str, str]) -> Used | None:
        try:
            return make()
        except ContestantError as error:
            failures[who] = str(error)
            self._say(f"    {who}: {error}")
            return None

    def _parts(self, job: Job, failures: dict[str, str]) -> Parts | None:
        self._say("  ours, part by part")
        command = (sys.executable, "-m", "tests.bench.render.parts", job.write())
        try:
            said = run(command, job.folder, within_s=contestants.PATIENCE_S).said
        except ContestantError as error:
            failures["parts"] = str(error)
            return None
        return msgspec.json.decode(said.splitlines()[-1], type=Parts)
