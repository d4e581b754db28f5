# mypy: ignore-errors
# (its package is in an environment of its own, where mypy does not look)
"""MoviePy 2: `python peer.py JOB.json` makes one film as its own documentation would.

It has no highlight of words, so a phrase stands as one text; no ducking, so the bed stays at a quarter; no pan, so a
picture is zoomed about its middle. That is less than the others do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from moviepy import AudioFileClip, CompositeAudioClip, CompositeVideoClip, ImageClip, TextClip, VideoFileClip, afx, vfx


def shot_clip(shot: dict, width: int, height: int):  # noqa: ANN201 - its types are its own
    """One picture for its time, covering the frame."""
    if shot["kind"] == "clip":
        clip = VideoFileClip(shot["path"], audio=False)
        clip = clip.with_duration(min(clip.duration, shot["end_s"] - shot["start_s"]))
    else:
        clip = ImageClip(shot["path"]).with_duration(shot["end_s"] - shot["start_s"])
    clip = clip.resized(max(width / clip.w, height / clip.h))
    if shot["kind"] == "still":
        start, end, length_s = shot["zoom_from"], shot["zoom_to"], clip.duration
        clip = clip.resized(lambda at: start + (end - start) * at / length_s)
    clip = clip.with_start(shot["start_s"]).with_position("center")
    return clip.with_effects([vfx.CrossFadeIn(shot["fade_s"])]) if shot["fade_s"] else clip


def main(job: dict) -> None:
    """The film, where the job says."""
    width, height, length_s = job["width"], job["height"], job["duration_s"]
    layers = [shot_clip(shot, width, height) for shot in job["shots"]]
    for phrase in job["phrases"]:
        text = TextClip(
            font=job["font"],
            text=phrase["text"],
            font_size=job["font_px"],
            color="white",
            stroke_color="black",
            stroke_width=4,
            method="label",
        )
        text = text.with_start(phrase["start_s"]).with_duration(phrase["end_s"] - phrase["start_s"])
        layers.append(text.with_position(("center", job["text_top"])))
    voice = AudioFileClip(job["voice"]).with_start(job["voice_start_s"])
    bed = AudioFileClip(job["music"]).with_effects([afx.MultiplyVolume(0.25)])
    bed = bed.with_duration(min(length_s, bed.duration))
    film = CompositeVideoClip(layers, size=(width, height)).with_duration(length_s)
    film.with_audio(CompositeAudioClip([voice, bed]).with_duration(length_s)).write_videofile(
        job["out"],
        fps=job["fps"],
        codec="libx264",
        preset=job["preset"],
        audio_codec="aac",
        audio_bitrate=job["audio_bitrate"],
        ffmpeg_params=["-crf", str(job["crf"]), "-g", str(2 * job["fps"]), "-pix_fmt", "yuv420p"],
        temp_audiofile_path=str(Path(job["out"]).parent),
        logger=None,
    )


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
