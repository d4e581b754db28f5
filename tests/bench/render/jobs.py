"""The films that everybody has to make: stills, the same upright, and clips; and one of stills as long as one likes.

No headings and no title: cards are what only ours would draw.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Final, Literal

import msgspec

from actors.rendering.order import FilmOrder
from schema.documents import ArtifactRef, Aspect, Footage, Picture, Scene, Script, Speech, SpokenScene, Word
from schema.settings.video import Video
from tests.bench.render import materials
from tests.bench.render.materials import Narration

_NOWHERE: Final = ArtifactRef("none", 0, "")
_SEED: Final = 7
_WHAT: Final[dict[str, str]] = {
    "still": "six JPEGs of 2880x1620, 1920x1080",
    "upright": "the same, 1080x1920",
    "clips": "six H.264 clips of 1080p, three of them at 25, 29.97 and 24 frames a second, two of variable rate",
}


class Job(msgspec.Struct, frozen=True):
    """One film: its order, as the stage would write it, in a folder of its own."""

    name: str
    folder: Path
    order: FilmOrder
    music: Path

    @property
    def plan(self) -> Path:
        """Where ours leaves its plan, which the others follow."""
        return Path(self.order.plan_out)

    def out(self, contestant: str) -> Path:
        """Where the others leave their films."""
        return self.folder / f"{contestant}.mp4"

    def write(self) -> Path:
        """The order as a file."""
        path = self.folder / "order.json"
        path.write_bytes(msgspec.json.encode(self.order))
        return path


def told(folder: Path) -> Narration:
    """The narration among the materials."""
    return msgspec.json.decode((folder / "narration.json").read_bytes(), type=Narration)


def job(name: str, made: Path, folder: Path, *, video: Video) -> Job:
    """One of the three; `made` holds the materials."""
    folder.mkdir(parents=True, exist_ok=True)
    said = told(made)
    kind: Literal["still", "clip"] = "clip" if name == "clips" else "still"
    files = [made / (f"clip-{number}.mp4" if kind == "clip" else f"picture-{number}.jpg") for number in _each(said)]
    size = materials.CLIP if kind == "clip" else materials.PICTURE
    aspect: Aspect = "9:16" if name == "upright" else "16:9"
    order = FilmOrder(
        script=Script("", tuple(map(Scene, said.texts))),
        footage=Footage(tuple(Picture(number, kind, _NOWHERE, *size) for number in _each(said))),
        speech=Speech(_NOWHERE, said.sample_rate_hz, said.duration_s, said.scenes),
        pictures=tuple(map(str, files)),
        voice=str(made / "voice.wav"),
        aspect=aspect,
        video=video,
        out=str(folder / "ours.mp4"),
        plan_out=str(folder / "plan.json"),
        seed=_SEED,
    )
    return Job(name, folder, order, made / "music.wav")


def _each(said: Narration) -> range:
    return range(len(said.texts))


def lengthened(short: Job, folder: Path, length_s: float) -> Job:
    """The same film over and over: told, and shown, as often as the length takes."""
    folder.mkdir(parents=True, exist_ok=True)
    order, speech = short.order, short.order.speech
    times = max(1, round(length_s / speech.duration_s))
    count = len(order.script.scenes)
    with wave.open(order.voice) as file:
        form, once = file.getparams(), file.readframes(file.getnframes())
    with wave.open(str(folder / "voice.wav"), "wb") as file:
        file.setparams(form)
        file.writeframes(once * times)
    longer = msgspec.structs.replace(
        order,
        script=msgspec.structs.replace(order.script, scenes=order.script.scenes * times),
        footage=Footage(
            tuple(
                msgspec.structs.replace(picture, scene=picture.scene + count * time)
                for time in range(times)
                for picture in order.footage.pictures
            )
        ),
        speech=msgspec.structs.replace(
            speech,
            duration_s=speech.duration_s * times,
            scenes=tuple(_later(scene, speech.duration_s * time) for time in range(times) for scene in speech.scenes),
        ),
        pictures=order.pictures * times,
        voice=str(folder / "voice.wav"),
        out=str(folder / "ours.mp4"),
        plan_out=str(folder / "plan.json"),
    )
    return Job(f"{short.name} of {longer.speech.duration_s:.0f} s", folder, longer, short.music)


def _later(scene: SpokenScene, by_s: float) -> SpokenScene:
    words = tuple(Word(word.text, word.start_s + by_s, word.end_s + by_s) for word in scene.words)
    return SpokenScene(scene.start_s + by_s, scene.end_s + by_s, words)


def what(name: str) -> str:
    """A job in words."""
    return _WHAT.get(name, name)
