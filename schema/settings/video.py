"""What a film looks and sounds like, and what quality accepts."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schema.modes import Bundle


class Video(msgspec.Struct, frozen=True, kw_only=True):
    """Size, rate, bitrate, loudness and the thresholds of the quality check."""

    video_quality: Annotated[
        Literal["720p", "1080p", "1440p", "2160p"],
        Meta(description="short side of the frame; 720p, 1080p, 1440p or 2160p"),
    ] = "1080p"
    fps: Annotated[int, Meta(ge=10, le=60, description="frames a second")] = 30
    crf: Annotated[
        int, Meta(ge=0, le=51, description="constant rate factor of libx264; lower is better and larger")
    ] = 23
    preset: Annotated[str, Meta(description="preset of libx264")] = "veryfast"
    gpu: Annotated[
        str,
        Meta(
            pattern="^(auto|cpu|[0-9]{1,2})$",
            description="card to render on: auto (the first, if there is one), its number in nvidia-smi, or cpu",
        ),
    ] = "auto"
    nvenc_preset: Annotated[
        Literal["p1", "p2", "p3", "p4", "p5", "p6", "p7"],
        Meta(description="preset of NVENC; p1 is the fastest, p7 the best; speed mode takes p1"),
    ] = "p4"
    audio_bitrate: Annotated[Literal["128k", "192k"], Meta(description="bitrate of the AAC track")] = "192k"
    music: Annotated[
        Literal["auto", "off"], Meta(description="music under the voice: auto (as the style has it) or off")
    ] = "auto"
    music_file: Annotated[str, Meta(description="a file of your own music, in place of what is made; repeated")] = ""
    music_dir: Annotated[str, Meta(description="a folder of your own music; each video takes one file of it")] = ""
    music_lu: Annotated[
        float, Meta(ge=6, le=60, description="how far the music lies below the voice while somebody speaks, LU")
    ] = 20.0
    loudness_lufs: Annotated[float, Meta(ge=-40, le=0, description="integrated loudness of a film")] = -14.0
    true_peak_dbtp: Annotated[float, Meta(ge=-20, le=0, description="highest true peak of a film")] = -1.0
    loudness_tolerance_lu: Annotated[float, Meta(gt=0, description="how far quality lets the loudness be off")] = 1.0
    black_max_s: Annotated[float, Meta(gt=0, description="longest black stretch quality accepts")] = 0.3
    freeze_max_s: Annotated[float, Meta(gt=0, description="longest frozen stretch quality accepts")] = 1.0
    silence_max_s: Annotated[float, Meta(gt=0, description="longest silence quality accepts beyond planned pauses")] = (
        1.5
    )
    sync_max_ms: Annotated[float, Meta(gt=0, description="how far the voice may be off its plan")] = 40.0


def as_in(video: Video, bundle: Bundle) -> Video:
    """The settings that hold in this mode: never more than was set."""
    return msgspec.structs.replace(
        video,
        video_quality=bundle.video_quality or video.video_quality,
        audio_bitrate=bundle.audio_bitrate or video.audio_bitrate,
        nvenc_preset=bundle.nvenc_preset or video.nvenc_preset,
    )


def frame_size(video: Video, aspect: str) -> tuple[int, int]:
    """Width and height in pixels of a film of this aspect."""
    short = int(video.video_quality.removesuffix("p"))
    long = short * 16 // 9
    return (short, long) if aspect == "9:16" else (long, short)
