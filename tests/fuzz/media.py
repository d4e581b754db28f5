"""Pictures, clips, sounds, films and the small files of a factory after accidents, opened by whoever opens them at work.

Each begins as a right one of its kind, made here, and is cut, flipped, spliced with another or named otherwise; the
sums of a PNG are mostly made right again, so that its content is reached. Playing happens in a process with bounded
memory, see `playing`.
"""

from __future__ import annotations

import random
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import msgspec
import numpy as np
import structlog
from av.audio.stream import AudioStream
from PIL import Image

from actors.providers.audio.language import refuse_unspeakable
from actors.providers.media.pictures import plain_copy
from actors.providers.script import extractive
from actors.providers.script.samples import sample_for
from actors.rendering.copying import copy
from actors.rendering.drawing import stills
from actors.rendering.drawing.clips import Clip, scout
from actors.rendering.encoding import parts
from actors.rendering.inspecting.verdict import inspect
from actors.rendering.nv12 import blank
from actors.rendering.order import ClipOrder, InspectionOrder
from actors.rendering.planning.clipping import Part
from actors.rendering.planning.framing import Move
from actors.rendering.planning.plan import Plan, Shot
from actors.rendering.sound.own_bed import OwnBed
from actors.rendering.sound.samples import RATE_HZ, audio_frames
from actors.rendering.sound.voice import listen
from deploy.launch import procfile
from deploy.launch.data_directory import addresses
from deploy.recovery import backups
from schema.documents import Brief
from schema.errors import PermanentError
from schema.money.journal import Journal
from schema.money.prices import Prices
from schema.settings import environment
from schema.settings.video import Video
from tests.fuzz import cases
from tests.fuzz.judging import Tally, judged
from tests.unit.rendering.clips_made import clip, corners

ROWS: Final = ("pictures", "clips", "sounds", "films", "files")
LIMIT_S: Final = 20.0
_SECONDS: Final = 1.0
_FRAME: Final = (160, 90)
#: What has kept expressions and parsers of text busy before.
_PATTERNS: Final = (
    "a. ", "A. B. ", "- ", "#", "[", "](", "<", "<a ", "&", "&#", "*", "**", "_", "`", "```\n", "> ", "|", "http://a.", "'", "\"'", ".", "...", "( ",
    "x", " ", "\n", "\n\n", "\t", "1. ", "1,000", "Dr. ", "e\u0301", "\u0334", "\U0001f469\u200d", "\u202e", "the and of ", "Wort und Satz ", "the cat sat. ",
)  # fmt: skip


class Desk:
    """A folder with right files of every kind, and the readers."""

    def __init__(self, row: str, folder: Path) -> None:
        self._row, self._folder = row, folder
        (folder / "right").mkdir()
        self._plan, self._voice = folder / "plan.json", folder / "voice.wav"
        self._samples: dict[str, bytes] = {}
        _MAKERS[row](folder / "right")
        for path in sorted((folder / "right").iterdir()):
            self._samples[path.name] = path.read_bytes()
        if row == "films":
            self._plan.write_bytes(msgspec.json.encode(_PLAN))
            _sound(self._voice, "pcm_s16le")

    def play(self, seed: int, number: int, tally: Tally, *, alarm: bool) -> None:
        """Judge one file."""
        rng = cases.chance(self._row, seed, number)
        shutil.rmtree(self._folder / "case", ignore_errors=True)
        place = self._folder / "case"
        place.mkdir()
        name = rng.choice(list(self._samples))
        data = self._spoilt(rng, name)
        path = place / f"case{rng.choice([*map(_suffix, self._samples)]) if rng.random() < 0.15 else _suffix(name)}"
        path.write_bytes(data)
        judged(tally, number, data, lambda: self._read(rng, path, name), limit_s=LIMIT_S, alarm=alarm)

    def _spoilt(self, rng: random.Random, name: str) -> bytes:
        data, other = self._samples[name], self._samples[rng.choice(list(self._samples))]
        if self._row == "files" and name == "notes.txt" and rng.random() < 0.6:
            return _told_again(rng, data)
        made = cases.spoilt(rng, data, other=other, head=rng.choice((0, 64, 600)))
        return _with_right_sums(made) if name.endswith(".png") and rng.random() < 0.7 else made

    def _read(self, rng: random.Random, path: Path, name: str) -> None:
        match self._row:
            case "pictures":
                _look(rng, path)
            case "clips":
                _watch(path)
            case "sounds":
                _hear(path)
            case "films":
                self._inspect(rng, path)
            case _:
                _FILES[name](path)

    def _inspect(self, rng: random.Random, path: Path) -> None:
        plan = self._plan
        if rng.random() < 0.1:
            plan = path.with_name("plan.json")
            plan.write_bytes(cases.spoilt(rng, self._plan.read_bytes()))
        sheet = str(path.with_name("sheet.png")) if rng.random() < 0.3 else ""
        order = InspectionOrder(str(path), str(plan), str(self._voice), Video(), sheet_out=sheet)
        verdict = inspect(order, checkpoint=_go_on, progress=_unheard)
        assert verdict.findings, "a verdict without a finding"
        bad = [finding for finding in verdict.findings if not finding.passed]
        if bad:
            assert all(finding.measured.strip() and finding.allowed.strip() for finding in bad), (
                "a finding without words"
            )
            raise PermanentError("; ".join(f"{finding.check}: {finding.measured}" for finding in bad))


@contextmanager
def desk(row: str, folder: Path) -> Iterator[Desk]:
    """One that works in this folder."""
    yield Desk(row, folder)


def _go_on() -> None:
    """Nobody stops it."""


def _unheard(_frame: int, _of: int) -> None:
    """Nobody waits for it."""


# ---- readers


def _look(rng: random.Random, path: Path) -> None:
    """A picture found or owned becomes a plain copy, a picture of a film is sized."""
    with structlog.testing.capture_logs() as told:
        kept = plain_copy(path, path.with_name("plain.jpg"), 640, 360)
    if kept is None:
        assert any(str(line.get("reason", "")).strip() for line in told), "passed over without a reason"
    else:
        with Image.open(kept) as picture:
            picture.load()
    stills.check(str(path))
    if rng.random() < 0.5:
        pixels, _ = stills.thumbnail.__wrapped__(str(path), 96)
        assert max(pixels.shape[:2]) <= 96
    pixels = stills.load(str(path), *_FRAME)
    assert pixels.shape == (_FRAME[1], _FRAME[0], 3)


def _watch(path: Path) -> None:
    """A clip is copied, and shown in a film."""
    copied = copy(ClipOrder(str(path), str(path.with_name("copy"))), checkpoint=_go_on, progress=_unheard)
    usable = scout(copied.path)
    loop_s = usable.length_s if usable.length_s < 2 else 0.0
    shot = Clip(copied.path, Part(usable.start_s, loop_s=loop_s), _FRAME)
    frame = blank(*_FRAME)
    for elapsed_s in (0.0, 0.04, 0.3, 0.9, 2.5):
        shot.seek(elapsed_s)
        shot.fill(frame)
    shot.close()


def _hear(path: Path) -> None:
    """A voice is listened to, music of the user's own becomes a bed."""
    voice = listen(str(path))
    assert np.isfinite(voice.energies).all()
    assert voice.duration_s > 0
    bed = OwnBed(str(path), 1.0)
    assert sum(block.shape[1] for block in bed.blocks()) == RATE_HZ


def _written(path: Path) -> None:
    """Notes become a script; the voice may be one that reads English only."""
    text = path.read_bytes().decode(errors="replace").replace("\x00", "")
    refuse_unspeakable(text)
    script = extractive.write(Brief("Why octopuses have three hearts", notes=text))
    assert all(scene.narration.strip() for scene in script.scenes), "a scene without words"
    msgspec.json.encode(script)


def _set(path: Path) -> None:
    pairs = (line.partition("=") for line in path.read_bytes().decode(errors="replace").splitlines())
    environment.read({name: text for name, _, text in pairs if name and not name.startswith("#")})


def _remembered(path: Path) -> None:
    folder = path.with_name("journal")
    folder.mkdir()
    path.rename(folder / "2026-11-25.jsonl")
    list(Journal(folder).lines(date(2026, 1, 1)))


def _backed_up(path: Path) -> None:
    path.rename(path.with_name(backups.MANIFEST))
    found = backups.read(path.parent)
    backups.check(found)


def _resumed(path: Path) -> None:
    with (path.parent / "part").open("w+b") as part:
        part.write(b"x" * 5000)
        part.flush()
        list(parts._good(part.fileno(), path.read_bytes()))


def _addressed(path: Path) -> None:
    from deploy.launch import data_directory  # noqa: PLC0415 - its private name

    path.rename(path.with_name(data_directory._FILE))
    addresses(path.parent)


_FILES: Final[dict[str, Callable[[Path], object]]] = {
    "notes.txt": _written,
    "Procfile": procfile.read,
    "settings.env": _set,
    "prices.toml": lambda path: Prices(str(path)),
    "manifest.json": _backed_up,
    "journal.jsonl": _remembered,
    "marks.jsonl": _resumed,
    "addresses.json": _addressed,
}


# ---- accidents of their own


def _told_again(rng: random.Random, notes: bytes) -> bytes:
    """Notes of the largest size that intake takes, made of very little."""
    made = b""
    for _ in range(rng.choice((1, 1, 2, 3))):
        part = "".join(rng.choice(_PATTERNS) for _ in range(rng.choice((1, 1, 2, 3)))).encode()
        made += part * rng.choice((3, 200, 200_000 // len(part)))
    at = rng.randrange(len(notes))
    return (notes[:at] + made + notes[at:] if rng.random() < 0.5 else made)[:200_000]


def _with_right_sums(png: bytes) -> bytes:
    """A PNG whose chunks have the sums of what is in them, as far as it is one."""
    made, at = bytearray(png), 8
    while at + 12 <= len(made):
        size = int.from_bytes(made[at : at + 4], "big")
        end = at + 8 + size
        if end + 4 > len(made):
            break
        made[end : end + 4] = struct.pack(">I", zlib.crc32(made[at + 4 : end]))
        at = end + 4
    return bytes(made)


def _suffix(name: str) -> str:
    return Path(name).suffix or name


# ---- right files


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
    clip(folder / "h264.mp4", paint, seconds=_SECONDS, gop=8)
    clip(folder / "turned.mov", paint, seconds=_SECONDS, turned=90)
    clip(folder / "deep.mkv", paint, seconds=_SECONDS, pix_fmt="yuv420p10le", pixel_aspect=Fraction(4, 3))
    clip(
        folder / "vp9.webm",
        paint,
        seconds=_SECONDS,
        codec="libvpx-vp9",
        options={"deadline": "realtime", "cpu-used": "8"},
    )
    clip(folder / "h264.avi", paint, seconds=_SECONDS)
    clip(folder / "vp8.webm", paint, seconds=_SECONDS, codec="libvpx")
    clip(folder / "hevc.mp4", paint, seconds=_SECONDS, codec="libx265")
    clip(folder / "ffv1.mkv", paint, seconds=_SECONDS, codec="ffv1")
    clip(folder / "prores.mov", paint, seconds=_SECONDS, codec="prores_ks", pix_fmt="yuv422p10le")
    clip(folder / "mjpeg.mov", paint, seconds=_SECONDS, codec="mjpeg", pix_fmt="yuvj420p")


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
        _sound(folder / name, codec)


def _tone(seconds: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    time_s = np.arange(round(seconds * RATE_HZ), dtype=np.float32) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * 330 * time_s) * (np.sin(2 * np.pi * 3 * time_s) > -0.5)).astype(np.float32)[None]


def _sound(path: Path, codec: str, seconds: float = _SECONDS) -> None:
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


_PLAN: Final = Plan(
    width=_FRAME[0],
    height=_FRAME[1],
    fps=25,
    frames=50,
    voice_start_s=0.0,
    voice_s=_SECONDS,
    shots=(Shot(0, 0, 0, 50, 0, Move("none", 1.0, 1.0, 0.5, 0.5, 0.5, 0.5)),),
    captions=(),
    cards=(),
    silences=(),
)


def _films(folder: Path) -> None:
    """Two seconds of film, as an MP4 whose index comes first, and one whose index comes last."""
    for name, options in (("first.mp4", {"movflags": "+faststart"}), ("last.mp4", {}), ("other.mkv", {})):
        with av.open(str(folder / name), "w", options=options) as container:
            video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "10"})
            video.width, video.height, video.pix_fmt = *_FRAME, "yuv420p"
            audio = container.add_stream("aac", rate=RATE_HZ, layout="stereo")
            for number in range(50):
                frame = av.VideoFrame.from_ndarray(corners(*_FRAME)(number / 25), format="rgb24")
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
_MAKERS: Final[dict[str, Callable[[Path], None]]] = {
    "pictures": _pictures,
    "clips": _clips,
    "sounds": _sounds,
    "films": _films,
    "files": _small_files,
}
