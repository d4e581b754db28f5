"""Who makes the films, and how each is called: ours as its stage calls it, the bare encoder, ffmpeg, MoviePy.

Ours comes first in each job: it leaves the plan that the others follow.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.rendering.order import InspectionOrder, Rendered
from actors.rendering.planning.plan import Plan
from actors.rendering.styles import named
from deploy.launch.plan import ROOT
from deploy.launch.program import kill_group
from tests.bench.bus.environments import PeerUnavailableError, bin_folder
from tests.bench.bus.peers import Peer
from tests.bench.render import cli
from tests.bench.render.bare import Encoded
from tests.bench.render.jobs import Job
from tests.bench.render.running import ContestantError, Ran, Used, run
from tests.bench.waiting import wait

#: As long as one film may take anybody; MoviePy takes minutes on a busy machine.
PATIENCE_S: Final = 400.0
_RENDERING: Final = (sys.executable, "-m", "actors.rendering")
MOVIEPY: Final = Peer("moviepy", "moviepy", "peer", (), packages=("moviepy",))
_LOOK_S: Final = 0.2


class _Line(msgspec.Struct, frozen=True):
    """The last line of ours."""

    result: msgspec.Raw = msgspec.Raw()
    error: dict[str, Any] | None = None


def read_plan(job: Job) -> Plan:
    """The plan that ours left."""
    return msgspec.json.decode(job.plan.read_bytes(), type=Plan)


def ours(job: Job, within_s: float = PATIENCE_S) -> tuple[Used, Rendered]:
    """As the render stage starts it; raises ContestantError with its own words when it refuses."""
    path = job.write()
    try:
        ran = run((*_RENDERING, "film", path), job.folder, within_s=within_s)
    except ContestantError as error:
        raise ContestantError(_refusal(job.folder / "said") or str(error)) from error
    return ran.used, msgspec.json.decode(_last(ran.said).result, type=Rendered)


def inspection(job: Job) -> Used:
    """The quality gate on the finished film, as its stage starts it; raises ContestantError."""
    order = job.order
    asked = InspectionOrder(film=order.out, plan=order.plan_out, voice=order.voice, video=order.video)
    path = job.folder / "inspection.json"
    path.write_bytes(msgspec.json.encode(asked))
    ran: Ran = run((*_RENDERING, "inspect", path), job.folder, within_s=PATIENCE_S)
    return ran.used


def _last(said: bytes) -> _Line:
    return msgspec.json.decode(said.splitlines()[-1], type=_Line)


def _refusal(said: Path) -> str:
    with contextlib.suppress(OSError, IndexError, msgspec.DecodeError):
        if error := _last(said.read_bytes()).error:
            return str(error.get("message", ""))
    return ""


def ffmpeg(job: Job) -> Used:
    """Debian's or whose ever is on PATH; raises ContestantError."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise ContestantError("there is no ffmpeg on PATH")
    return run(cli.command(job, read_plan(job), program), job.folder, within_s=PATIENCE_S).used


def moviepy_python() -> Path:
    """The interpreter of MoviePy's own environment, made first if need be; raises ContestantError."""
    try:
        return bin_folder(MOVIEPY) / "python"
    except PeerUnavailableError as error:
        raise ContestantError(str(error)) from error


def moviepy(job: Job, python: Path) -> Used:
    """The same shots, with less to them; see its peer.py. Raises ContestantError."""
    path = job.folder / "moviepy.json"
    path.write_bytes(msgspec.json.encode(_for_moviepy(job, read_plan(job))))
    peer = ROOT / "tests" / "bench" / "peers" / "moviepy" / "peer.py"
    return run((python, peer, path), job.folder, within_s=PATIENCE_S).used


def _for_moviepy(job: Job, plan: Plan) -> dict[str, Any]:
    order, fps = job.order, plan.fps
    style = named(order.style, order.aspect)
    size = round(style.caption_size * min(plan.width, plan.height))
    return {
        "width": plan.width,
        "height": plan.height,
        "fps": fps,
        "duration_s": plan.duration_s,
        "voice": order.voice,
        "voice_start_s": plan.voice_start_s,
        "music": str(job.music),
        "font": str(cli.FONT),
        "font_px": size,
        "text_top": round(style.caption_bottom * plan.height) - 2 * size,
        "preset": order.video.preset,
        "crf": order.video.crf,
        "audio_bitrate": order.video.audio_bitrate,
        "out": str(job.out("moviepy")),
        "shots": [
            {
                "path": order.pictures[shot.picture],
                "kind": order.footage.pictures[shot.picture].kind,
                "start_s": shot.first / fps,
                "end_s": shot.end / fps,
                "fade_s": shot.fade / fps,
                "zoom_from": shot.move.at(0.0)[0],
                "zoom_to": shot.move.at(1.0)[0],
            }
            for shot in plan.shots
        ],
        "phrases": [
            {"text": " ".join(one.words), "start_s": one.first / fps, "end_s": one.end / fps} for one in plan.captions
        ],
    }


class Bare:
    """The bare encoder with a job's frames in its hands; made by `bare`."""

    def __init__(self, process: subprocess.Popen[bytes], complained: Path) -> None:
        self._process, self._complained, self._heard = process, complained, b""

    def encode(self) -> Used:
        """Once; its memory is that of all frames, and no figure."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"encode\n")
        self._process.stdin.flush()
        done = msgspec.json.decode(self.line(), type=Encoded)
        return Used(done.cpu_s, done.wall_s, 0.0)

    def line(self) -> bytes:
        """The next line that it says; raises ContestantError when there will be none."""
        assert self._process.stdout is not None
        until_s = time.monotonic() + PATIENCE_S
        while b"\n" not in self._heard:
            wait(0)
            if time.monotonic() > until_s:
                raise ContestantError(f"said nothing within {PATIENCE_S:g} s")
            if select.select([self._process.stdout], [], [], _LOOK_S)[0]:
                more = os.read(self._process.stdout.fileno(), 4096)
                if not more:
                    raise ContestantError(self._complained.read_text(errors="replace")[-600:].strip() or "it ended")
                self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return line


@contextlib.contextmanager
def bare(job: Job) -> Iterator[Bare]:
    """The bare encoder, once it holds the frames of the film; raises ContestantError."""
    complained = job.folder / "bare-complained"
    with complained.open("wb") as errors:
        process = subprocess.Popen(
            (sys.executable, "-m", "tests.bench.render.bare", str(job.write()), str(job.out("bare"))),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        held = Bare(process, complained)
        held.line()
        yield held
    finally:
        kill_group(process.pid)
        process.communicate()
