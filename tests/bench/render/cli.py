"""The same film by the ffmpeg command line, with the graph that people write.

That is zoompan, xfade, subtitles and sidechaincompress. It follows our plan: the same shots, moves, crossfades and word
states, the voice where we put it, and a bed that steps back. Its zoompan moves by whole pixels. No mastering: nobody's
usual graph has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from actors.rendering.planning.plan import Caption, Plan, Shot
from actors.rendering.styles import named
from tests.bench.render.jobs import Job

#: Transitions as xfade names them; what it does not know is a crossfade.
_XFADES: Final = {
    "wipe_left": "wipeleft",
    "wipe_right": "wiperight",
    "wipe_up": "wipeup",
    "wipe_down": "wipedown",
}
#: What every film is drawn with.
FONT: Final = Path(str(files("fontpkg_montserrat") / "files" / "Montserrat[wght].ttf"))
_DUCK: Final = "sidechaincompress=threshold=0.03:ratio=8:attack=20:release=400"


def command(job: Job, plan: Plan, ffmpeg: str) -> list[str]:
    """The whole call; leaves the captions beside the job."""
    captions = job.folder / "captions.ass"
    captions.write_text(ass(job, plan), encoding="utf-8")
    order = job.order
    inputs = [part for shot in plan.shots for part in ("-i", order.pictures[shot.picture])]
    graph = ";".join((*_pictures(job, plan, captions), *_sound(len(plan.shots), plan)))
    return [
        *(ffmpeg, "-y", "-nostdin", "-v", "error", *inputs, "-i", order.voice, "-i", str(job.music)),
        *("-filter_complex", graph, "-map", "[v]", "-map", "[a]"),
        *("-c:v", "libx264", "-preset", order.video.preset, "-crf", str(order.video.crf), "-pix_fmt", "yuv420p"),
        *("-g", str(2 * plan.fps), "-c:a", "aac", "-b:a", order.video.audio_bitrate, "-movflags", "+faststart"),
        *("-t", f"{plan.duration_s:.6f}", str(job.out("ffmpeg"))),
    ]


def _pictures(job: Job, plan: Plan, captions: Path) -> Iterator[str]:
    for place, shot in enumerate(plan.shots):
        is_clip = job.order.footage.pictures[shot.picture].kind == "clip"
        yield f"[{place}:v]{_clip(shot, plan) if is_clip else _still(shot, plan)},format=yuv420p,setsar=1[v{place}]"
    last = "v0"
    for place, shot in enumerate(plan.shots[1:], start=1):
        if shot.fade:
            how = f"xfade=transition={_XFADES.get(shot.transition, 'fade')}:duration={shot.fade / plan.fps:.6f}"
            yield f"[{last}][v{place}]{how}:offset={shot.first / plan.fps:.6f}[x{place}]"
        else:
            yield f"[{last}][v{place}]concat=n=2:v=1:a=0[x{place}]"
        last = f"x{place}"
    yield f"[{last}]subtitles={captions}:fontsdir={FONT.parent}[v]"


def _still(shot: Shot, plan: Plan) -> str:
    frames, shape = shot.end - shot.first, f"{plan.width}/{plan.height}"
    (zoom, x, y), (zoom_end, x_end, y_end) = shot.move.at(0.0), shot.move.at(1.0)
    part = f"on/{max(1, frames - 1)}"
    views = (
        f"z='{_between(zoom, zoom_end, part)}'",
        f"x='(iw-iw/zoom)*({_between(x, x_end, part)})'",
        f"y='(ih-ih/zoom)*({_between(y, y_end, part)})'",
    )
    cut = f"crop=w='min(iw,ih*{shape})':h='min(ih,iw/({shape}))'"
    return f"{cut},zoompan={':'.join(views)}:d={frames}:s={plan.width}x{plan.height}:fps={plan.fps}"


def _between(start: float, end: float, part: str) -> str:
    return f"{start:.6f}+({end - start:.6f})*{part}"


def _clip(shot: Shot, plan: Plan) -> str:
    length_s = (shot.end - shot.first) / plan.fps
    size = f"{plan.width}:{plan.height}"
    fitted = f"fps={plan.fps},scale={size}:force_original_aspect_ratio=increase,crop={size}"
    return f"{fitted},tpad=stop_mode=clone:stop_duration=10,trim=duration={length_s:.6f},setpts=PTS-STARTPTS"


def _sound(voice: int, plan: Plan) -> Sequence[str]:
    whole = f"atrim=duration={plan.duration_s:.6f}"
    late = f"adelay={round(plan.voice_start_s * 1000)}:all=1"
    return (
        f"[{voice}:a]{late},aresample=48000,aformat=channel_layouts=stereo,apad,{whole},asplit[told][key]",
        f"[{voice + 1}:a]{whole}[bed]",
        f"[bed][key]{_DUCK}[ducked]",
        "[told][ducked]amix=inputs=2:normalize=0:duration=first[a]",
    )


def ass(job: Job, plan: Plan) -> str:
    """The captions as Advanced SubStation, an event for each word that lights up."""
    style = named(job.order.style, job.order.aspect)
    size = round(style.caption_size * min(plan.width, plan.height))
    below = plan.height - round(style.caption_bottom * plan.height)
    head = (
        "[Script Info]\nScriptType: v4.00+\n"
        f"PlayResX: {plan.width}\nPlayResY: {plan.height}\nScaledBorderAndShadow: yes\n\n[V4+ Styles]\n"
        "Format: Name, Fontname, Fontsize, PrimaryColour, BackColour, OutlineColour, Bold, BorderStyle, Outline, "
        "Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n"
        f"Style: D,Montserrat,{size},&H00FFFFFF,&H54100B09,&H54100B09,-1,3,12,0,2,60,60,{below},1\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Text\n"
    )
    return head + "".join(event for caption in plan.captions for event in _events(caption, plan.fps))


def _events(caption: Caption, fps: int) -> Iterator[str]:
    for place, (start, end) in enumerate(zip(caption.starts, (*caption.starts[1:], caption.end), strict=True)):
        lit = " ".join(
            f"{{\\c&H40D1FF&}}{word}{{\\c&HFFFFFF&}}" if number == place else word
            for number, word in enumerate(caption.words)
        )
        yield f"Dialogue: 0,{_clock(start / fps)},{_clock(end / fps)},D,{lit}\n"


def _clock(at_s: float) -> str:
    hundredths = round(at_s * 100)
    return f"{hundredths // 360_000}:{hundredths // 6000 % 60:02}:{hundredths // 100 % 60:02}.{hundredths % 100:02}"
