"""Measures a finished film with tools that are not ours: Debian's ffmpeg, and pocketsphinx as an independent ear."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pocketsphinx import Decoder

from actors.rendering.planning.plan import Caption, Plan

_ALIGNER_HZ = 16_000
_SENTENCE_END = re.compile(r"[.!?][\"')]*$")


class Streams(msgspec.Struct, frozen=True):
    """What ffprobe says of a film."""

    video_codec: str
    width: int
    height: int
    frame_rate: str
    audio_codec: str
    duration_s: float


def needs_ffmpeg() -> None:
    """Skip where Debian's ffmpeg is absent; CI installs it."""
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "ffmpeg is not installed: the film cannot be measured by a program that is not ours"
        )


def probe(film: Path) -> Streams:
    """Codecs, size, rate and length."""
    said = json.loads(_run("ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(film))[0])
    video, audio = (next(s for s in said["streams"] if s["codec_type"] == kind) for kind in ("video", "audio"))
    return Streams(
        video["codec_name"],
        video["width"],
        video["height"],
        video["r_frame_rate"],
        audio["codec_name"],
        float(said["format"]["duration"]),
    )


def loudness_lufs(film: Path) -> float:
    """Integrated loudness by ffmpeg's ebur128."""
    said = _run("ffmpeg", "-nostats", "-i", str(film), "-vn", "-af", "ebur128", "-f", "null", "-")[1]
    return float(re.findall(r"I:\s+(-?[\d.]+) LUFS", said)[-1])


def black_or_frozen(film: Path) -> list[str]:
    """Every stretch that is black for 0.3 s or frozen for 1 s."""
    looked = "blackdetect=d=0.3:pix_th=0.10,freezedetect=n=-60dB:d=1"
    said = _run("ffmpeg", "-nostats", "-i", str(film), "-an", "-vf", looked, "-f", "null", "-")[1]
    return [line for line in said.splitlines() if "black_start" in line or "freeze_start" in line]


def caption_errors_s(film: Path, plan: Plan) -> list[float]:
    """How far each word lights up from where it is heard, for the sentences whose words the aligner knows."""
    command = ("ffmpeg", "-v", "error", "-i", str(film), "-vn", "-ac", "1", "-ar", str(_ALIGNER_HZ), "-f", "s16le", "-")
    sound = np.frombuffer(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout, "<i2")
    errors: list[float] = []
    for sentence in _sentences(plan.captions):
        words = [re.sub(r"[^a-z']", "", word.lower()) for caption in sentence for word in caption.words]
        shown_s = [start / plan.fps for caption in sentence for start in caption.starts]
        from_s, to_s = max(0.0, sentence[0].first / plan.fps - 0.15), sentence[-1].end / plan.fps + 0.15
        heard_s = _heard(sound[int(from_s * _ALIGNER_HZ) : int(to_s * _ALIGNER_HZ)], words)
        errors += [abs(shown - from_s - heard) for shown, heard in zip(shown_s, heard_s, strict=False)]
    return errors


def _sentences(captions: tuple[Caption, ...]) -> list[list[Caption]]:
    sentences: list[list[Caption]] = [[]]
    for caption in captions:
        sentences[-1].append(caption)
        if _SENTENCE_END.search(caption.words[-1]):
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


def _heard(sound: np.ndarray[tuple[int], np.dtype[np.int16]], words: list[str]) -> list[float]:
    decoder = Decoder(lm=None, samprate=_ALIGNER_HZ, loglevel="FATAL")
    if any(decoder.lookup_word(word) is None for word in words):
        return []
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw(sound.tobytes(), full_utt=True)
    decoder.end_utt()
    starts = [segment.start_frame / 100 for segment in decoder.seg() if segment.word[0] not in "<("]
    return starts if len(starts) == len(words) else []


def _run(*command: str) -> tuple[str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout, done.stderr
