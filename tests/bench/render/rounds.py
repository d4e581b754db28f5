"""The rounds: in each, one after the other makes the same film; then the next film, then the next round.

The bare encoder of a job keeps its frames in memory for all its rounds, which saves making them anew.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from schema.settings.video import Video
from tests.bench.render import contestants, jobs
from tests.bench.render.asked import CONTESTANTS, Options
from tests.bench.render.figures import Measured
from tests.bench.render.jobs import Job
from tests.bench.render.parts import Parts
from tests.bench.render.running import ContestantError, Used, run

_MATERIALS_S: Final = 300.0
_MOST_ROUNDS: Final = 3
#: Who takes minutes for a film, makes each only once, and comes last; and about how many times the wall of ours.
_SLOW: Final = "moviepy"
_SLOWER: Final = 10.0


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
        told = [f"--{name}" for name, is_so in (("tiny", options.tiny), ("clips", options.has("clips"))) if is_so]
        command: list[str | Path] = [sys.executable, "-m", "tests.bench.render.materials", folder, *told]
        run(command, folder, within_s=_MATERIALS_S)

    def job(self, name: str, *, folder: str = "", preset: str = "", gpu: str = "cpu") -> Job:
        """One of the films, on the CPU unless told otherwise."""
        video = Video(gpu=gpu, video_quality="720p" if self.options.tiny else "1080p")
        if preset:
            video = msgspec.structs.replace(video, preset=preset)
        return jobs.job(name, self._folder, self._folder / (folder or name), video=video)

    def folder(self, name: str) -> Path:
        """Another one, beside those of the jobs."""
        return self._folder / name

    def rounds(self, names: Sequence[str], ends_s: float) -> list[Measured]:
        """All rounds of all jobs, by job; those that are not there in time are left out, but for the first."""
        measured: list[Measured] = []
        for place, name in enumerate(names):
            # The first has half of the time, since it has most of the goals; the next half of what is left.
            share = 1.0 if place == len(names) - 1 else 0.5
            until_s = time.monotonic() + max(0.0, ends_s - time.monotonic()) * share
            mastered = next((one.parts.mastering_s for one in measured if one.parts is not None), None)
            measured.append(self._measured(self.job(name), until_s, mastered))
        return measured

    def slow(self, measured: Sequence[Measured], ends_s: float) -> Sequence[Measured]:
        """The same with MoviePy's film of stills (of all, if they may take long), where there is time for it."""
        return [self._with_slow(one, ends_s) for one in measured] if _SLOW in self._chosen else measured

    def _with_slow(self, one: Measured, ends_s: float) -> Measured:
        python, ours_s = self._python, one.wall_s("ours")
        is_wanted = self.options.long or one.job == "still"
        if python is None or ours_s is None or not is_wanted:
            return one
        if not self._may_take_long and time.monotonic() + _SLOWER * ours_s > ends_s:
            why = "there was no time left: --long, or --contestants moviepy"
            return msgspec.structs.replace(one, failures={**one.failures, _SLOW: why})
        failures = dict(one.failures)
        self._say(f"{one.job}: {_SLOW}")
        job = self.job(one.job)
        used = self._tried(_SLOW, lambda: contestants.moviepy(job, python), failures)
        return msgspec.structs.replace(
            one, of={**one.of, _SLOW: [used]} if used is not None else one.of, failures=failures
        )

    @property
    def _may_take_long(self) -> bool:
        return self.options.long or _SLOW in self.options.contestants

    def _measured(self, job: Job, until_s: float, mastered_s: float | None) -> Measured:
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
        with contextlib.ExitStack() as held:
            self._rounds(job, found, failures, until_s, self._makes(job, failures, held))
        # The same voice is mastered in all jobs; where it goes in detail is told of stills and of clips.
        parts = Parts({}, mastered_s) if job.name == "upright" and mastered_s is not None else None
        return Measured(
            job.name,
            frames=plan.frames,
            fps=plan.fps,
            of=found,
            failures=failures,
            parts=parts or self._parts(job, failures),
            inspection=self._tried("inspection", lambda: contestants.inspection(job), failures),
        )

    def _makes(self, job: Job, failures: dict[str, str], held: contextlib.ExitStack) -> dict[str, Callable[[], Used]]:
        """Who takes part in the rounds, and how; the bare encoder stays until they are over."""
        makes: dict[str, Callable[[], Used]] = {"ours": lambda: contestants.ours(job)[0]}
        if "bare" in self._chosen:
            try:
                makes["bare"] = held.enter_context(contestants.bare(job)).encode
            except ContestantError as error:
                failures["bare"] = str(error)
                self._say(f"    bare: {error}")
        if "ffmpeg" in self._chosen:
            makes["ffmpeg"] = lambda: contestants.ffmpeg(job)
        return makes

    def _rounds(
        self,
        job: Job,
        found: dict[str, list[Used]],
        failures: dict[str, str],
        until_s: float,
        makes: dict[str, Callable[[], Used]],
    ) -> None:
        longest_s = 0.0
        for number in range(1, (self.options.rounds or _MOST_ROUNDS) + 1):
            began_s = time.monotonic()
            # The first round lacks ours, which came before it.
            if self.options.rounds is None and number > 1 and began_s + 1.3 * longest_s > until_s:
                self._say(f"  there is no time for round {number} of {job.name}")
                return
            for who, make in makes.items():
                if who in failures or (number == 1 and who == "ours"):
                    continue
                self._say(f"  round {number}: {who}")
                if used := self._tried(who, make, failures):
                    found.setdefault(who, []).append(used)
            longest_s = max(longest_s, time.monotonic() - began_s)

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
