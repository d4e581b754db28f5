"""The quality gate: finished films of many styles, seeds and shapes, as they are and with a fault planted in each.

A clean film that is refused is a false alarm, a fault that passes was missed; both must be none. Films are short and
coarse in time, ten frames a second, so that hundreds fit; the checks, their thresholds and the renderer are the
product's own. What is planted is a little more than the thresholds allow, since less than that is no fault.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import msgspec
import numpy as np

from actors.rendering import styles
from actors.rendering.film import render
from actors.rendering.inspecting.verdict import inspect
from actors.rendering.order import FilmOrder, InspectionOrder
from actors.rendering.planning.plan import Plan
from actors.rendering.sound.samples import RATE_HZ, Samples
from schema.documents import Aspect
from schema.settings.video import Video
from tests.bench.table import Goal, Row, row
from tests.integration.rendering.damage import Pictures, with_pictures, with_sound
from tests.unit.rendering.orders import order, picture

FPS: Final = 10
#: Seconds of what is planted; the thresholds allow 0.3 of black, 1.0 frozen, 1.5 of silence and 40 ms. An encoder goes
#: on refining a picture that is repeated, for up to 0.8 s here, and that much of a freeze is not seen.
_BLACK_S, _FROZEN_S, _MUTE_S, _SHIFT_S = 0.6, 2.4, 2.5, 0.08
_CORRUPT_BYTES: Final = 4096
_SPOKEN: Final = (
    "octopuses have three hearts and two of them rest while the third one works their blood is blue because copper "
    "carries oxygen through cold water better than iron does nobody knows why they sleep in colours of the night"
)

Planter = Callable[[FilmOrder, Plan, Path, random.Random], str]


class Judged(NamedTuple):
    """One film: what the gate said of it clean, and with its fault; findings in words."""

    seed: int
    about: str
    fault: str
    refused_clean: tuple[str, ...]
    refused_faulty: tuple[str, ...]


def gate(films: int, *, processes: int | None = None) -> list[Row]:
    """Make so many films, plant a fault in each, and count what the gate says wrongly of either."""
    count = min(processes or os.cpu_count() or 1, films)
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        return rows(list(pool.map(judged, range(films), chunksize=4)))


def rows(films: Sequence[Judged]) -> list[Row]:
    """What came of it."""
    alarms = [f"{film.about}: {'; '.join(film.refused_clean)}" for film in films if film.refused_clean]
    missed = [f"{film.fault} in {film.about}" for film in films if not film.refused_faulty]
    found = {
        name: f"{sum(bool(film.refused_faulty) for film in films if film.fault == name)}/{total}"
        for name in PLANTERS
        if (total := sum(film.fault == name for film in films))
    }
    return [
        row(f"clean films that were refused, of {len(films)}", len(alarms), "films", Goal("=", 0), note=_few(alarms)),
        row(
            f"faults that were not found, of {len(films)}",
            len(missed),
            "films",
            Goal("=", 0),
            peers=found,
            note=_few(missed),
        ),
    ]


def _few(said: Sequence[str]) -> str:
    return " | ".join([*said[:3], *([f"and {len(said) - 3} more"] if len(said) > 3 else [])])


def judged(seed: int) -> Judged:
    """Make the film of this seed and judge it, clean and with the fault that is its turn."""
    dice = random.Random(seed)  # noqa: S311 - films, not secrets
    names = list(PLANTERS)
    fault = names[seed % len(names)]
    with TemporaryDirectory(prefix="ytempire-gate-") as folder:
        asked, about = _asked(Path(folder), dice)
        render(asked, checkpoint=_go_on, progress=_unheard)
        plan = msgspec.json.decode(Path(asked.plan_out).read_bytes(), type=Plan)
        faulty = PLANTERS[fault](asked, plan, Path(folder) / "faulty.mp4", dice)
        return Judged(seed, f"film {seed} ({about})", fault, _refused(asked, asked.out), _refused(asked, faulty))


def _asked(folder: Path, dice: random.Random) -> tuple[FilmOrder, str]:
    style, aspect = dice.choice(styles.names()), dice.choice(_ASPECTS)
    video = Video(
        video_quality="720p",
        preset="ultrafast",
        fps=FPS,
        audio_bitrate=dice.choice(_BITRATES),
        crf=dice.randint(20, 30),
    )
    scenes = [(dice.choice(("", "A heading")), _sentence(dice)) for _ in range(dice.randint(1, 2))]
    made = order(folder, scenes=scenes, aspect=aspect, video=video, title=dice.choice(("", "Three hearts")))
    for path in made.pictures:
        picture(Path(path), dice.randrange(1 << 16), dice.choice(((640, 360), (400, 600), (512, 512))))
    about = f"{style}, {aspect}, {len(scenes)} scenes, {video.audio_bitrate}"
    return msgspec.structs.replace(made, style=style, seed=dice.randrange(1 << 30)), about


_ASPECTS: Final[tuple[Aspect, ...]] = ("16:9", "9:16")
_BITRATES: Final = ("128k", "192k")


def _sentence(dice: random.Random) -> str:
    words = [dice.choice(_SPOKEN.split()) for _ in range(dice.randint(8, 11))]
    return " ".join(f"{word}," if dice.random() < 0.15 else word for word in words).rstrip(",") + "."


def _refused(asked: FilmOrder, film: str) -> tuple[str, ...]:
    judgement = inspect(
        InspectionOrder(film, asked.plan_out, asked.voice, asked.video), checkpoint=_go_on, progress=_unheard
    )
    return tuple(
        f"{finding.check}: {finding.measured} (allowed: {finding.allowed})"
        for finding in judgement.findings
        if not finding.passed
    )


def _black(asked: FilmOrder, _plan: Plan, out: Path, dice: random.Random) -> str:
    def change(pictures: Pictures) -> Pictures:
        count = round(_BLACK_S * FPS)
        begin = dice.randrange(len(pictures) - count)
        black = np.full_like(pictures[0], 128)
        black[: black.shape[0] * 2 // 3] = 16
        return [*pictures[:begin], *[black] * count, *pictures[begin + count :]]

    return with_pictures(asked.out, out, change, fps=FPS)


def _freeze(asked: FilmOrder, _plan: Plan, out: Path, dice: random.Random) -> str:
    def change(pictures: Pictures) -> Pictures:
        count = round(_FROZEN_S * FPS)
        begin = dice.randrange(len(pictures) - count)
        return [*pictures[:begin], *[pictures[begin]] * count, *pictures[begin + count :]]

    return with_pictures(asked.out, out, change, fps=FPS)


def _mute(asked: FilmOrder, plan: Plan, out: Path, dice: random.Random) -> str:
    # Where somebody speaks: a film without music is silent in its pauses anyhow.
    begin_s = plan.voice_start_s + dice.uniform(0, max(plan.voice_s - _MUTE_S, 0))

    def change(sound: Samples) -> Samples:
        sound[:, round(begin_s * RATE_HZ) : round((begin_s + _MUTE_S) * RATE_HZ)] = 0
        return sound

    return with_sound(asked.out, out, change)


def _shift(asked: FilmOrder, _plan: Plan, out: Path, dice: random.Random) -> str:
    samples = dice.choice((-1, 1)) * round(_SHIFT_S * RATE_HZ)
    return with_sound(asked.out, out, lambda sound: np.roll(sound, samples, axis=1))


def _truncate(asked: FilmOrder, _plan: Plan, out: Path, dice: random.Random) -> str:
    whole = Path(asked.out).read_bytes()
    out.write_bytes(whole[: round(len(whole) * dice.uniform(0.05, 0.97))])
    return str(out)


def _corrupt(asked: FilmOrder, _plan: Plan, out: Path, dice: random.Random) -> str:
    whole = bytearray(Path(asked.out).read_bytes())
    begin = dice.randrange(len(whole) - _CORRUPT_BYTES)
    whole[begin : begin + _CORRUPT_BYTES] = dice.randbytes(_CORRUPT_BYTES)
    out.write_bytes(whole)
    return str(out)


def _resize(asked: FilmOrder, _plan: Plan, out: Path, _dice: random.Random) -> str:
    def change(pictures: Pictures) -> Pictures:
        return [np.ascontiguousarray(picture[: picture.shape[0] // 2, : picture.shape[1] // 2]) for picture in pictures]

    return with_pictures(asked.out, out, change, fps=FPS)


PLANTERS: Final[dict[str, Planter]] = {
    "black": _black,
    "freeze": _freeze,
    "mute": _mute,
    "shift of 80 ms": _shift,
    "truncation": _truncate,
    "corruption": _corrupt,
    "wrong size": _resize,
}


def _go_on() -> None:
    """Nobody stops it."""


def _unheard(_frame: int, _of: int) -> None:
    """Nobody waits for it."""


def findings(films: Sequence[Judged]) -> Iterator[str]:
    """What was said of each faulty film, for whoever looks into it."""
    for film in films:
        yield f"{film.about}, {film.fault}: {'; '.join(film.refused_faulty) or 'NOT FOUND'}"
