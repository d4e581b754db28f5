"""Judges a finished film against its plan: every check says in words what was measured and what was allowed.

A film passes when all do. The file is opened like any stranger's; nothing that the renderer said of it is believed.
Whether it is a good film, nobody can measure here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import av
import msgspec
import numpy as np

from actors.rendering.inspecting import contact_sheet
from actors.rendering.inspecting.contact_sheet import Glances
from actors.rendering.inspecting.measuring import Measured, ignore, measure
from actors.rendering.inspecting.senses import Span, envelope
from actors.rendering.inspecting.sync import sync
from actors.rendering.nv12 import BT709, LIMITED
from actors.rendering.order import Inspection, InspectionOrder
from actors.rendering.planning.plan import Plan
from actors.rendering.sound.samples import RATE_HZ, read
from schema.documents import Finding
from schema.errors import PermanentError
from schema.settings.video import Video

__all__ = ["Inspection", "InspectionOrder", "inspect"]

#: Readings of the true peak and of the loudness are this rough, dB.
_READING_DB = 0.05
#: Words end more softly than their times say, seconds.
_FADING_S = 0.1
#: Music rises from nothing and fades to it, seconds.
_RISING_S, _FADED_S = 0.3, 1.0
#: Music that is set softer than this may count as silence, LUFS.
_AUDIBLE_LUFS = -40.0


def inspect(
    order: InspectionOrder, *, checkpoint: Callable[[], None], progress: Callable[[int, int], None]
) -> Inspection:
    """The judgement of one film.

    Raises PermanentError when the plan or the voice cannot be read; a film that cannot be read fails its inspection.
    """
    try:
        plan = msgspec.json.decode(Path(order.plan).read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PermanentError(f"the plan {Path(order.plan).name} cannot be read: {error}") from error
    glances = Glances(plan) if order.sheet_out else None
    try:
        found = measure(
            order.film,
            order.video,
            checkpoint,
            progress,
            perceptual=order.perceptual,
            shown=glances.see if glances else ignore,
        )
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        unreadable = Finding("readable", passed=False, measured=str(error), allowed="a film with pictures and sound")
        return Inspection(passed=False, findings=(unreadable,))
    seen_and_heard = (*_pictures(found, plan, order), *_sound(found, plan, order)) if order.perceptual else ()
    findings = (*_form(found, plan, order.video), *seen_and_heard, *_in_sync(found, plan, order))
    if glances is not None:
        contact_sheet.draw(order, plan, found, glances, findings).save(order.sheet_out)
    return Inspection(passed=all(finding.passed for finding in findings), findings=findings)


def _form(found: Measured, plan: Plan, video: Video) -> Iterator[Finding]:
    """What kind of file it is, how long, and whether it is whole."""
    size, wanted = f"{found.width} x {found.height}", f"{plan.width} x {plan.height}"
    yield _same("size", size, wanted)
    pictures = f"{found.codec} {found.pix_fmt} at {found.fps:g} frames a second"
    yield _same("pictures", pictures, f"h264 yuv420p at {plan.fps:g} frames a second")
    colour = (
        "BT.709 limited" if found.colour == (BT709, LIMITED) else f"matrix {found.colour[0]}, range {found.colour[1]}"
    )
    yield _same("colour", colour, "BT.709 limited")
    sound = f"{found.audio_codec}, {found.channels} channels at {found.sample_rate_hz} Hz"
    yield _same("sound", sound, f"aac, 2 channels at {RATE_HZ} Hz")
    yield _same("faststart", "index first" if found.faststart else "index last", "index first")
    yield _at_most("damage", found.errors, "packets that cannot be decoded", video.damage_max_packets)
    frames = f"{found.frames} frames decoded of {found.frames_declared} declared"
    yield Finding("frames", found.frames == found.frames_declared == plan.frames, frames, f"{plan.frames} of both")
    yield _at_most("gaps", found.gaps, "gaps between frames", video.gaps_max)
    length = f"pictures {found.video_s:.3f} s, sound {found.audio_s:.3f} s"
    right = (
        abs(found.video_s - plan.duration_s) <= 1.5 / plan.fps
        and abs(found.audio_s - plan.duration_s) <= video.length_tolerance_s
    )
    allowed = (
        f"{plan.duration_s:.3f} s, give or take {1.5 / plan.fps:.3f} s and {video.length_tolerance_s:g} s for the sound"
    )
    yield Finding("duration", right, length, allowed)


def _pictures(found: Measured, plan: Plan, order: InspectionOrder) -> Iterator[Finding]:
    video = order.video
    flat = [(shot.first / plan.fps, shot.end / plan.fps) for shot in map(plan.shots.__getitem__, plan.flat_shots)]
    yield _longest("black", found.black, [], video.black_max_s)
    yield _longest("frozen", found.frozen, flat, video.freeze_max_s)


def _sound(found: Measured, plan: Plan, order: InspectionOrder) -> Iterator[Finding]:
    video, heard = order.video, found.loudness
    yield _longest("silence", found.silent, _quiet(plan, video), video.silence_max_s)
    off = abs(heard.lufs - video.loudness_lufs)
    allowed = f"{video.loudness_lufs:g} LUFS, give or take {video.loudness_tolerance_lu:g}"
    yield Finding("loudness", off <= video.loudness_tolerance_lu + _READING_DB, f"{heard.lufs:.2f} LUFS", allowed)
    low = heard.peak_dbtp <= video.true_peak_dbtp + _READING_DB
    yield Finding("true peak", low, f"{heard.peak_dbtp:.2f} dBTP", f"at most {video.true_peak_dbtp:g} dBTP")


def _quiet(plan: Plan, video: Video) -> list[Span]:
    """Where nothing need be heard. With music that was made for it, a film is silent only as it begins and ends."""
    if plan.music.startswith("made:") and video.loudness_lufs - video.music_lu >= _AUDIBLE_LUFS:
        return [(0.0, _RISING_S), (plan.duration_s - _FADED_S, plan.duration_s)]
    return [(pause.start_s - _FADING_S, pause.end_s + _FADING_S) for pause in plan.silences]


def _in_sync(found: Measured, plan: Plan, order: InspectionOrder) -> Iterator[Finding]:
    """Whether the voice is where the pictures say."""
    # Block by block: a long voice need not be in memory.
    voice = np.concatenate([envelope(block[0], RATE_HZ) for block in read(order.voice, "mono", called="voice")])
    lag = sync(found.envelope, voice, plan.voice_start_s, order.video.voice_likeness_min)
    measured = f"at most {lag.worst_ms} ms off its plan; {lag.found} of {lag.pieces} pieces of it found"
    right = abs(lag.worst_ms) <= order.video.sync_max_ms and lag.found == lag.pieces > 0
    yield Finding("voice", right, measured, f"all pieces, at most {order.video.sync_max_ms:g} ms off")


def _same(check: str, measured: str, allowed: str) -> Finding:
    return Finding(check, measured == allowed, measured, allowed)


def _at_most(check: str, count: int, what: str, most: int) -> Finding:
    return Finding(check, count <= most, f"{count} {what}", f"at most {most}")


def _longest(check: str, spans: Sequence[Span], planned: Sequence[Span], most_s: float) -> Finding:
    """Judge the longest stretch after taking away what was planned."""
    rests = [(_rest_s(span, planned), span) for span in spans]
    length_s, span = max(rests, default=(0.0, (0.0, 0.0)))
    where = f", from {span[0]:.2f} to {span[1]:.2f} s" if length_s else ""
    allowed = f"at most {most_s:g} s{' beyond what was planned' if planned else ''}"
    return Finding(check, length_s <= most_s, f"{length_s:.2f} s{where}", allowed)


def _rest_s(span: Span, planned: Iterable[Span]) -> float:
    """Seconds of the span that lie in none of the planned ones."""
    rest, at = 0.0, span[0]
    for start, end in sorted(planned):
        rest += max(0.0, min(start, span[1]) - at)
        at = max(at, min(end, span[1]))
    return rest + max(0.0, span[1] - at)
