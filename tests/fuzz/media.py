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
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import structlog
from PIL import Image

from actors.providers.audio.language import refuse_unspeakable
from actors.providers.media.pictures import plain_copy
from actors.providers.script import extractive
from actors.rendering.copying import copy
from actors.rendering.drawing import stills
from actors.rendering.drawing.clips import Clip, scout
from actors.rendering.encoding import parts
from actors.rendering.inspecting.verdict import inspect
from actors.rendering.nv12 import blank
from actors.rendering.order import ClipOrder, InspectionOrder
from actors.rendering.planning.clipping import Part
from actors.rendering.sound.own_bed import OwnBed
from actors.rendering.sound.samples import RATE_HZ
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
from tests.fuzz.right import FRAME, MAKERS, PLAN, sound

ROWS: Final = ("pictures", "clips", "sounds", "films", "files")
LIMIT_S: Final = 20.0
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
        MAKERS[row](folder / "right")
        for path in sorted((folder / "right").iterdir()):
            self._samples[path.name] = path.read_bytes()
        if row == "films":
            self._plan.write_bytes(msgspec.json.encode(PLAN))
            sound(self._voice, "pcm_s16le")

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
    pixels = stills.load(str(path), *FRAME)
    assert pixels.shape == (FRAME[1], FRAME[0], 3)


def _watch(path: Path) -> None:
    """A clip is copied, and shown in a film."""
    copied = copy(ClipOrder(str(path), str(path.with_name("copy"))), checkpoint=_go_on, progress=_unheard)
    usable = scout(copied.path)
    loop_s = usable.length_s if usable.length_s < 2 else 0.0
    shot = Clip(copied.path, Part(usable.start_s, loop_s=loop_s), FRAME)
    frame = blank(*FRAME)
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
