"""Right files of every kind, to have accidents with: made here, small, and as different as cameras and programs make them."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import msgspec
import numpy as np
from av.audio.stream import AudioStream
from PIL import Image

from actors.providers.script.samples import sample_for
from actors.rendering.planning.framing import Move
from actors.rendering.planning.plan import Plan, Shot
from actors.rendering.sound.samples import RATE_HZ, audio_frames
from deploy.recovery import backups
from tests.unit.rendering.clips_made import clip, corners

SECONDS: Final = 1.0
FRAME: Final = (160, 90)


def _pictures(folder: Path) -> None:
    dice = np.random.default_rng(0)
    large = Image.fromarray(dice.integers(0, 255, (16, 15, 3), np.uint8)).resize((640, 672), Image.Resampling.BICUBIC)
    small = large.resize((96, 64))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x9286] = 6, "somewhere", b"\0" * 40
    large.save(folder / "large.jpg", quality=40, exif=exif)
    large.save(folder / "progressive.jpg", quality=40, progressive=True)
    large.convert("RGBA").save(folder / "large.png", compress_level=1)
    large.quantize(16).save(folder / "palette.png", transparency=3)
    large.save(folder / "large.webp", quality=40)
    large.convert("CMYK").save(folder / "cmyk.jpg", quality=40)
    Image.fromarray(dice.integers(0, 65_535, (648, 648), np.uint16)).save(folder / "deep.png", compress_level=1)
    small.save(folder / "small.gif", save_all=True, append_images=[small.rotate(90)], loop=0)
    small.save(folder / "small.bmp")
    small.save(folder / "small.tiff", compression="tiff_lzw", exif=exif)
    small.save(folder / "small.ppm")
    small.save(folder / "small.png", exif=exif)
    small.convert("LA").save(folder / "grey.webp", lossless=True)


def _clips(folder: Path) -> None:
    paint = corners(96, 64)
    clip(folder / "h264.mp4", paint, seconds=SECONDS, gop=8)
    clip(folder / "turned.mov", paint, seconds=SECONDS, turned=90)
    clip(folder / "deep.mkv", paint, seconds=SECONDS, pix_fmt="yuv420p10le", pixel_aspect=Fraction(4, 3))
    clip(
        folder / "vp9.webm",
        paint,
        seconds=SECONDS,
        codec="libvpx-vp9",
        options={"deadline": "realtime", "cpu-used": "8"},
    )
    clip(folder / "h264.avi", paint, seconds=SECONDS)
    clip(folder / "vp8.webm", paint, seconds=SECONDS, codec="libvpx")
    clip(folder / "hevc.mp4", paint, seconds=SECONDS, codec="libx265")
    clip(folder / "ffv1.mkv", paint, seconds=SECONDS, codec="ffv1")
    clip(folder / "prores.mov", paint, seconds=SECONDS, codec="prores_ks", pix_fmt="yuv422p10le")
    clip(folder / "mjpeg.mov", paint, seconds=SECONDS, codec="mjpeg", pix_fmt="yuvj420p")


def _sounds(folder: Path) -> None:
    for name, codec in (
        ("voice.wav", "pcm_s16le"),
        ("deep.wav", "pcm_s24le"),
        ("float.wav", "pcm_f32le"),
        ("law.wav", "pcm_mulaw"),
        ("song.mp3", "mp3"),
        ("song.m4a", "aac"),
        ("song.flac", "flac"),
        ("song.opus", "libopus"),
    ):
        sound(folder / name, codec)


def _tone(seconds: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    time_s = np.arange(round(seconds * RATE_HZ), dtype=np.float32) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * 330 * time_s) * (np.sin(2 * np.pi * 3 * time_s) > -0.5)).astype(np.float32)[None]


def sound(path: Path, codec: str, seconds: float = SECONDS) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE_HZ, layout="mono")
        assert isinstance(stream, AudioStream)
        assert stream.codec_context.format is not None
        form = stream.codec_context.format.name
        size = stream.codec_context.frame_size or 4096
        resampler = av.AudioResampler(form, "mono", RATE_HZ, frame_size=size)
        for frame in audio_frames(_tone(seconds), 4800):
            for one in resampler.resample(frame):
                container.mux(stream.encode(one))
        for one in resampler.resample(None):
            container.mux(stream.encode(one))
        container.mux(stream.encode(None))


PLAN: Final = Plan(
    width=FRAME[0],
    height=FRAME[1],
    fps=25,
    frames=50,
    voice_start_s=0.0,
    voice_s=SECONDS,
    shots=(Shot(0, 0, 0, 50, 0, Move("none", 1.0, 1.0, 0.5, 0.5, 0.5, 0.5)),),
    captions=(),
    cards=(),
    silences=(),
)


def films(folder: Path) -> None:
    """Two seconds of film, as an MP4 whose index comes first, and one whose index comes last."""
    for name, options in (("first.mp4", {"movflags": "+faststart"}), ("last.mp4", {}), ("other.mkv", {})):
        with av.open(str(folder / name), "w", options=options) as container:
            video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "10"})
            video.width, video.height, video.pix_fmt = *FRAME, "yuv420p"
            audio = container.add_stream("aac", rate=RATE_HZ, layout="stereo")
            for number in range(50):
                frame = av.VideoFrame.from_ndarray(corners(*FRAME)(number / 25), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            for heard in audio_frames(np.repeat(_tone(2.0), 2, axis=0), 1024):
                container.mux(audio.encode(heard))
            container.mux(audio.encode(None))


def _small_files(folder: Path) -> None:
    root = Path(__file__).parents[2]
    sample = sample_for("octopus") or sample_for("Why octopuses have three hearts")
    (folder / "notes.txt").write_text(
        sample.notes if sample else "Rivers carry water to the sea. " * 40, encoding="utf-8"
    )
    shutil.copy(root / "Procfile", folder / "Procfile")
    shutil.copy(root / ".env.example", folder / "settings.env")
    shutil.copy(root / "schema/money/prices.toml", folder / "prices.toml")
    piece = backups.Piece(path="dump", size_bytes=3, sha256="0" * 64)
    manifest = backups.Manifest(
        kind="daily", at=datetime(2026, 11, 25, tzinfo=UTC), took_s=1.0, server_major=18, tool_major=18, schema=7,
        rows={"video_queue": 1}, pieces=(piece,),
    )  # fmt: skip
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    (folder / "journal.jsonl").write_bytes(_JOURNAL * 3)
    (folder / "marks.jsonl").write_bytes(
        b"".join(b"[%d,%d,%d,[]]\n" % (n, 1000 * n, zlib.crc32(b"x" * 1000 * n)) for n in (1, 2, 3))
    )
    (folder / "addresses.json").write_bytes(
        b'{"pid":1,"redis_url":"redis://127.0.0.1:1/0","database_url":"postgresql://x"}'
    )


_JOURNAL: Final = (
    b'\n{"step":"released","at":"2026-11-25T00:00:00Z","id":"6f2c1f6e-7a3a-4c55-9a1a-3f1f0c1d2e3f","why":"not sent"}\n'
)
MAKERS: Final[dict[str, Callable[[Path], None]]] = {
    "pictures": _pictures,
    "clips": _clips,
    "sounds": _sounds,
    "films": films,
    "files": _small_files,
}
