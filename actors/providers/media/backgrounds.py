"""Makes pictures for scenes that have none: land, forests, silk, cut paper, lights, northern lights; no text, no stock.

The same seed and script give the same pictures on the same machine. The lower part is calm, for the captions. Of what
is said it takes only the colors, by words such as "ocean": the pictures set a mood, they do not illustrate.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from actors.providers.media.painting import Canvas, finished
from actors.providers.media.palettes import THEMES, theme_for
from actors.providers.media.styles import style_for
from actors.providers.ports import Checkpoint, Found
from schema.documents import Scene, Script
from schema.errors import PermanentError

#: A scene that is spoken longer than this gets two pictures.
_LONG_SCENE_S = 8.0
_WORDS_PER_S = 2.8
_JPEG_QUALITY = 92
#: A word of the title says as much about a film's colors as this many of its narration.
_TITLE_COUNTS = 5


def make(
    script: Script,
    out: Path,
    *,
    width: int,
    height: int,
    seed: int,
    checkpoint: Checkpoint,
    scenes: Iterable[int] | None = None,
) -> list[Found]:
    """Paint one or two pictures for each scene, or each of `scenes`, into the folder `out`, as JPEG of the given size.

    `checkpoint` is called before each picture, which takes a fraction of a second.
    """
    wanted = set(range(len(script.scenes)) if scenes is None else scenes)
    chance = np.random.default_rng([seed, 0])
    by_chance = sorted(THEMES)[chance.integers(len(THEMES))]
    said = " ".join(
        [*[script.title] * _TITLE_COUNTS, *(f"{scene.heading} {scene.narration}" for scene in script.scenes)]
    )
    lights = THEMES[theme_for(said, by_chance)]
    first_style = int(chance.integers(1000))
    places = [number for number, scene in enumerate(script.scenes) for _ in range(pictures_wanted(scene))]
    found = []
    for number, scene in enumerate(places):
        if scene not in wanted:
            continue
        checkpoint()
        light = lights[scene * len(lights) // len(script.scenes)]
        style = style_for(first_style + number, light)
        canvas = Canvas(width, height, light, np.random.default_rng([seed, 1, number]))
        path = out / f"scene-{scene:03d}-{number:03d}.jpg"
        _write(path, finished(style(canvas), canvas.rng))
        found.append(Found(scene=scene, path=path, width=width, height=height))
    return found


def pictures_wanted(scene: Scene) -> int:
    """How many pictures a scene has room for."""
    return 2 if len(scene.narration.split()) / _WORDS_PER_S > _LONG_SCENE_S else 1


def _write(path: Path, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    written, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not written:
        raise PermanentError(f"cannot write a picture of {image.shape[1]}x{image.shape[0]} pixels as JPEG")
    path.write_bytes(encoded.tobytes())
