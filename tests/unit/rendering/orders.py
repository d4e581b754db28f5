"""Small orders for films: synthetic pictures with detail in them, and a voice of bursts whose word times are known."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from actors.rendering.order import FilmOrder
from schema.documents import ArtifactRef, Aspect, Footage, Picture, Scene, Script, Speech, SpokenScene, Word
from schema.settings.video import Video

VOICE_HZ = 24_000
SCENES = (
    ("Hearts", "Octopuses have three hearts, and two of them rest."),
    ("Blood", "Their blood is blue because of copper."),
)
_GAP_S, _PAUSE_S = 0.06, 0.4


def picture(path: Path, seed: int, size: tuple[int, int] = (640, 360)) -> str:
    """A colourful picture with edges of every size."""
    path.write_bytes(_drawn(seed, size, path.suffix))
    return str(path)


@cache  # most orders show the same pictures, and a test process makes dozens of orders
def _drawn(seed: int, size: tuple[int, int], suffix: str) -> bytes:
    dice = np.random.default_rng(seed)
    coarse = dice.integers(0, 256, (9, 16, 3), np.uint8)
    fine = dice.integers(0, 256, (90, 160, 3), np.uint8)
    layers = [Image.fromarray(layer).resize(size, Image.Resampling.BICUBIC) for layer in (coarse, fine)]
    file = BytesIO()
    Image.blend(layers[0], layers[1], 0.35).save(file, Image.registered_extensions()[suffix])
    return file.getvalue()


def spoken(scenes: Sequence[tuple[str, str]] = SCENES) -> tuple[tuple[SpokenScene, ...], NDArray[np.float32]]:
    """The times of all words and the voice that says them, at VOICE_HZ."""
    dice = np.random.default_rng(1)
    at, told, bursts = 0.1, [], []
    for _, narration in scenes:
        start, words = at, []
        for text in narration.split():
            length = 0.10 + 0.03 * len(text)
            words.append(Word(text, round(at, 3), round(at + length, 3)))
            bursts.append((at, length))
            at += length + (_PAUSE_S if text[-1] in ".," else _GAP_S)
        told.append(SpokenScene(start, words[-1].end_s if words else at, tuple(words)))
    voice = np.zeros(round((at + 0.1) * VOICE_HZ), np.float32)
    for begin, length in bursts:
        first, count = round(begin * VOICE_HZ), round(length * VOICE_HZ)
        time_s = np.arange(count) / VOICE_HZ
        tone = np.sin(2 * np.pi * 160 * time_s) + 0.5 * np.sin(2 * np.pi * 700 * time_s) + dice.normal(0, 0.3, count)
        voice[first : first + count] = 0.12 * tone * np.sin(np.pi * np.arange(count) / count) ** 0.5
    return tuple(told), voice


def write_wav(path: Path, voice: NDArray[np.floating]) -> str:
    """The voice as a mono WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(VOICE_HZ)
        file.writeframes((np.clip(voice, -1, 1) * 32767).astype("<i2").tobytes())
    return str(path)


def order(
    folder: Path,
    *,
    scenes: Sequence[tuple[str, str]] = SCENES,
    aspect: Aspect = "16:9",
    video: Video | None = None,
    title: str = "Why octopuses have three hearts",
) -> FilmOrder:
    """An order with one picture a scene, in 720p and quickly encoded unless `video` says otherwise."""
    told, voice = spoken(scenes)
    ref = ArtifactRef("none", 0, "")
    return FilmOrder(
        script=Script(title, tuple(Scene(narration, heading) for heading, narration in scenes)),
        footage=Footage(tuple(Picture(scene, "still", ref, 640, 360) for scene in range(len(scenes)))),
        speech=Speech(ref, VOICE_HZ, voice.size / VOICE_HZ, told),
        pictures=tuple(picture(folder / f"{scene}.png", scene) for scene in range(len(scenes))),
        voice=write_wav(folder / "voice.wav", voice),
        aspect=aspect,
        video=video or Video(video_quality="720p", preset="ultrafast"),
        out=str(folder / "film.mp4"),
        plan_out=str(folder / "plan.json"),
        seed=7,
    )
