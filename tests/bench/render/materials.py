"""What the films are made of, drawn and spoken on the spot: `python -m tests.bench.render.materials FOLDER`.

Textured pictures, clips of several frame rates, a narration with the time of each word, and a bed of music for those
who bring none. The same every time on the same machine. A process of its own: what it takes in memory must not be seen
in what it starts.
"""

from __future__ import annotations

import sys
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import msgspec
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from actors.providers.audio.hibari import Voice
from schema.documents import Scene, Script, SpokenScene
from tests.unit.rendering import orders

Pixels = NDArray[np.uint8]

#: 57 words, so as many states of captions, in 24 s of film.
NARRATIONS: Final = (
    "Every second of this film was put together. A machine did it.",
    "It reads a script. It collects pictures for each scene.",
    "Then it speaks the words. It listens for their beginnings.",
    "Frame after frame is drawn. Soon the story is told.",
    "The captions follow. A word lights up at a time.",
    "Music steps back. Nobody shouts.",
)
#: For a look whether all works; spoken by bursts of sound, in a second.
TINY_NARRATIONS: Final = ("A film",)
PICTURE: Final = (2880, 1620)
CLIP: Final = (1920, 1080)
CLIP_S: Final = 5.0
#: Frames a second; None: each frame lasts as long as it likes, as a telephone records.
RATES: Final[tuple[Fraction | None, ...]] = (
    Fraction(25),
    Fraction(30_000, 1001),
    None,
    Fraction(24),
    Fraction(30),
    None,
)
_CLOCK: Final = 90_000
_MUSIC_HZ: Final = 48_000
_JPEG: Final = (cv2.IMWRITE_JPEG_QUALITY, 92)
#: How much weaker each octave of detail is: about as in photographs.
_FALL: Final = 0.35


class Narration(msgspec.Struct, frozen=True):
    """What was said, and when; beside `voice.wav`."""

    texts: tuple[str, ...]
    sample_rate_hz: int
    duration_s: float
    scenes: tuple[SpokenScene, ...]


def texture(seed: int, size: tuple[int, int]) -> Pixels:
    """A picture with detail of every size, BGR, with some shapes in it."""
    width, height = size
    dice = np.random.default_rng(seed)
    tones = np.zeros((height, width, 3), np.float32)
    for octave in range(1, width.bit_length()):
        cells = (2**octave, max(2, 2**octave * height // width))
        grey = dice.standard_normal((cells[1], cells[0], 1), np.float32)
        grid = grey + np.float32(0.45) * dice.standard_normal((cells[1], cells[0], 3), np.float32)
        tones += cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC) * np.float32(2 ** (-_FALL * octave))
    picture = np.clip(118 + 44 * tones / tones.std(), 0, 255).astype(np.uint8)
    above = picture.copy()
    for _ in range(40):
        colour = tuple(int(part) for part in dice.integers(0, 256, 3))
        middle = (int(dice.integers(0, width)), int(dice.integers(0, height)))
        axes = (int(dice.integers(20, max(21, width // 12))), int(dice.integers(20, max(21, width // 12))))
        cv2.ellipse(above, middle, axes, float(dice.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    blended: Pixels = cv2.addWeighted(picture, 0.5, above, 0.5, 0).astype(np.uint8, copy=False)
    return blended


def clip(path: Path, seed: int, rate: Fraction | None, size: tuple[int, int] = CLIP, length_s: float = CLIP_S) -> None:
    """A picture that travels, with a disc that travels another way, in H.264."""
    scene = texture(seed, (size[0] * 5 // 4, size[1] * 5 // 4))
    room = (scene.shape[1] - size[0], scene.shape[0] - size[1])
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate or 30, options={"preset": "superfast", "crf": "20"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _CLOCK)
        for at in _times(seed, rate, length_s):
            part = at / (length_s * _CLOCK)
            left, top = round(room[0] * part), round(room[1] * (1 - part))
            shown = np.ascontiguousarray(scene[top : top + size[1], left : left + size[0]])
            cv2.circle(shown, (round(size[0] * (1 - part)), size[1] // 2), size[1] // 9, (40, 90, 230), -1, cv2.LINE_AA)
            frame = av.VideoFrame.from_ndarray(shown, format="bgr24")
            frame.pts, frame.time_base = at, Fraction(1, _CLOCK)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _times(seed: int, rate: Fraction | None, length_s: float) -> Iterator[int]:
    """When frames begin, in ticks."""
    dice, at, frame = np.random.default_rng(seed), 0, 0
    while at < length_s * _CLOCK:
        yield at
        frame += 1
        at = round(frame * _CLOCK / rate) if rate else at + int(dice.choice([2700, 3003, 3750, 6006]))


def music(path: Path, length_s: float) -> None:
    """Four tones that swell, in stereo."""
    time_s = np.arange(round(length_s * _MUSIC_HZ)) / _MUSIC_HZ
    tones = sum(
        0.12 * np.sin(2 * np.pi * hertz * time_s) * (1 + 0.3 * np.sin(np.pi * time_s + place))
        for place, hertz in enumerate((220.0, 277.2, 329.6, 440.0))
    )
    both = np.stack([tones, np.roll(tones, 300)], axis=1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(_MUSIC_HZ)
        file.writeframes((np.clip(both, -1, 1) * 32767).astype("<i2").tobytes())


def narration(folder: Path, *, tiny: bool) -> Narration:
    """Speak, and leave `voice.wav`."""
    if tiny:
        scenes, voice = orders.spoken(tuple(("", text) for text in TINY_NARRATIONS))
        orders.write_wav(folder / "voice.wav", voice)
        return Narration(TINY_NARRATIONS, orders.VOICE_HZ, voice.size / orders.VOICE_HZ, scenes)
    script = Script("", tuple(map(Scene, NARRATIONS)))
    said = Voice(None).speak(script, folder / "voice.wav", checkpoint=lambda: None)
    return Narration(NARRATIONS, said.sample_rate_hz, said.duration_s, said.scenes)


def make(folder: Path, *, tiny: bool, clips: bool) -> None:
    """Everything, into the folder; clips, which take longest, only where they are wanted."""
    cv2.setNumThreads(1)
    said = narration(folder, tiny=tiny)
    (folder / "narration.json").write_bytes(msgspec.json.encode(said))
    music(folder / "music.wav", said.duration_s + 5)
    shrunk = 4 if tiny else 1
    for number in range(len(said.texts)):
        size = (PICTURE[0] // shrunk, PICTURE[1] // shrunk)
        cv2.imwrite(str(folder / f"picture-{number}.jpg"), texture(number, size), _JPEG)
        if clips:
            clip(folder / f"clip-{number}.mp4", 100 + number, RATES[number], (CLIP[0] // shrunk, CLIP[1] // shrunk))


if __name__ == "__main__":
    make(Path(sys.argv[1]), tiny="--tiny" in sys.argv, clips="--clips" in sys.argv)
