"""Makes one film from an order, stoppable between any two frames.

Guarantees that the file appears whole or not at all, that what cannot be filmed is refused by name before the first
frame, and that the same order gives the same pictures. Where the order names a folder for it, what is encoded outlives
a halt and a kill in whole groups of pictures, and the next attempt goes on behind them.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from actors.rendering import beside, styles
from actors.rendering.backend import Way, Ways, ignore
from actors.rendering.drawing import clips, fonts, interest
from actors.rendering.drawing.captions import Captions, written
from actors.rendering.drawing.cards import Cards
from actors.rendering.drawing.sheet import Faces
from actors.rendering.drawing.shots import Shots
from actors.rendering.encoding.encoder import Encoder
from actors.rendering.encoding.muxing import UnfitError, mux
from actors.rendering.encoding.parts import Part
from actors.rendering.encoding.segments import Segments, key_of
from actors.rendering.order import FilmOrder, Rendered
from actors.rendering.planning.about import about
from actors.rendering.planning.framing import Interest
from actors.rendering.planning.plan import Plan
from actors.rendering.planning.timeline import plan
from actors.rendering.sound.soundtrack import finished, mixed, music_of
from actors.rendering.sound.track import Track
from actors.rendering.sound.voice import listen
from schema.errors import PermanentError

__all__ = ["FilmOrder", "Rendered", "render"]


def render(
    order: FilmOrder,
    *,
    checkpoint: Callable[[], None],
    progress: Callable[[int, int], None],
    out_of_memory: Callable[[str], None] = ignore,
) -> Rendered:
    """Make the film and its plan, in the best way that this machine has; begin anew where a card fails meanwhile.

    `checkpoint` is called before every frame and raises to stop; what the next attempt can use is then left in the
    order's folder of parts, and nothing elsewhere. `progress` hears how many frames were handed to the encoder, by
    this attempt or an earlier one, and of how many; `out_of_memory` when a card had none left.

    Raises PermanentError when the order cannot be filmed, RetryableError when the disk takes no more.
    """
    with _kept(order) as kept:
        return _render(order, kept, checkpoint=checkpoint, progress=progress, out_of_memory=out_of_memory)


def _render(
    order: FilmOrder,
    kept: Path,
    *,
    checkpoint: Callable[[], None],
    progress: Callable[[int, int], None],
    out_of_memory: Callable[[str], None],
) -> Rendered:
    checkpoint()
    voice = listen(order.voice)
    usable = {
        place: clips.scout(order.pictures[place])
        for place, picture in enumerate(order.footage.pictures[: len(order.pictures)])
        if picture.kind == "clip"
    }
    seen = [Interest() if place in usable else interest.find(path) for place, path in enumerate(order.pictures)]
    film = msgspec.structs.replace(plan(order, voice.duration_s, seen, usable), music=music_of(order))
    mix = mixed(film, voice, order)
    letters = _letters(film, order)

    def hears(frame: int) -> None:
        progress(frame, film.frames)

    size = (film.width, film.height)
    with (
        ThreadPoolExecutor(1, thread_name_prefix="sound") as mixer,
        Ways(order.video, size, out_of_memory=out_of_memory) as ways,
    ):
        way, sound = ways.best(), mixer.submit(finished, mix, order.video)
        while True:
            try:
                found, notes = _make(
                    order, film, letters, way, kept, sound=sound, checkpoint=checkpoint, progress=hears
                )
                break
            except Exception as error:  # noqa: BLE001 - raised again where the card is not to blame
                ways.lost(way, error)
            del way  # with its frames: the next way may need their room
            way = ways.best()
        return Rendered(
            film.width,
            film.height,
            film.fps,
            film.frames,
            film.duration_s,
            way.codec.name,
            ways.fallback,
            backend=way.name,
            fallback_cause=ways.cause,
            notes=notes,
            frames_found=found,
        )


@contextlib.contextmanager
def _kept(order: FilmOrder) -> Iterator[Path]:
    """The folder for what is encoded; what cannot be filmed leaves nothing there."""
    folder = Path(order.parts or f"{order.out}.parts")
    try:
        yield folder
    except PermanentError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        if not order.parts:
            shutil.rmtree(folder, ignore_errors=True)


def _make(
    order: FilmOrder,
    film: Plan,
    letters: tuple[fonts.Font, Faces],
    way: Way,
    kept: Path,
    *,
    sound: Future[Track],
    checkpoint: Callable[[], None],
    progress: Callable[[int], None],
) -> tuple[int, tuple[str, ...]]:
    """Encode in this way what is not there yet, and put the film together.

    Returns how many frames were there, and what is to be said of the pictures of the others.
    """

    def check() -> None:
        checkpoint()
        if sound.done():
            sound.result()  # a film without its sound need not be encoded to its end

    with Segments(kept, key_of(order, film, way.name, way.codec)) as segments:
        found, flat, notes = segments.reached, segments.flat_shots, tuple[str, ...]()
        if found < film.frames:
            part = segments.part()
            flat_now, notes = _shoot(order, film, letters, way, part, checkpoint=check, progress=progress)
            flat |= flat_now
            segments.add(part)
        # Before the film gets its name: a film that is there has a plan.
        seen = msgspec.structs.replace(film, flat_shots=tuple(sorted(flat)))
        Path(order.plan_out).write_bytes(msgspec.json.encode(seen))
        beside.write(order, film, letters[1].display)
        try:
            told = about(order, film)
            mux(Path(order.out), film.fps, segments.stretches, sound.result(), told, checkpoint=checkpoint)
        except UnfitError:
            segments.drop()
            raise
    return found, notes


def _shoot(
    order: FilmOrder,
    film: Plan,
    letters: tuple[fonts.Font, Faces],
    way: Way,
    part: Part,
    *,
    checkpoint: Callable[[], None],
    progress: Callable[[int], None],
) -> tuple[set[int], tuple[str, ...]]:
    """Compose and encode in this way all frames from the part's first on; returns the flat shots among them.

    And what is to be said of its pictures.
    """
    style = styles.named(order.style, order.aspect)
    captions = Captions(film, style, letters[0], order.script.language)
    cards = Cards(film, style, letters[1])
    size = (film.width, film.height)
    with (
        Shots(film, order.pictures, way.compositor, first=part.first) as shots,
        Encoder(part, size, order.video, codec=way.codec, as_frame=way.compositor.frame) as writer,
    ):
        for frame in range(part.first, film.frames):
            checkpoint()
            laid = cards.at(frame) + ([(caption, 1.0)] if (caption := captions.at(frame)) else [])
            writer.write(way.compositor.compose(shots.layers(frame), laid))
            writer.flat_shots = shots.flat
            progress(frame + 1)
    return set(shots.flat), tuple(dict.fromkeys(shots.notes))


def _letters(film: Plan, order: FilmOrder) -> tuple[fonts.Font, Faces]:
    """The fonts of captions and of cards, chosen by all that will be written on the pictures."""
    style, language = styles.named(order.style, order.aspect), order.script.language
    cards = " ".join(f"{card.text} {card.text.upper()}" for card in film.cards)
    return (
        fonts.choose(written(film.captions, style, language), style.text_font, language),
        Faces(fonts.choose(cards, style.display_font, language), fonts.choose(cards, style.text_font, language)),
    )
