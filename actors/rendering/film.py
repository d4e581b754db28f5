"""Makes one film from an order, stoppable between any two frames.

Guarantees that the file appears whole or not at all, that what cannot be filmed is refused by name before the first
frame, and that the same order gives the same pictures. A halt costs the frames made so far: they are not kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from actors.rendering import styles
from actors.rendering.backend import Way, Ways, ignore
from actors.rendering.drawing import clips, fonts, interest
from actors.rendering.drawing.captions import Captions, written
from actors.rendering.drawing.cards import Cards
from actors.rendering.drawing.sheet import Faces
from actors.rendering.drawing.shots import Shots
from actors.rendering.encoding.encoder import Encoder
from actors.rendering.order import FilmOrder, Rendered
from actors.rendering.planning.framing import Interest
from actors.rendering.planning.plan import Plan
from actors.rendering.planning.timeline import plan
from actors.rendering.sound.soundtrack import finished, mixed, music_of
from actors.rendering.sound.track import Track
from actors.rendering.sound.voice import listen

__all__ = ["FilmOrder", "Rendered", "render"]


def render(
    order: FilmOrder,
    *,
    checkpoint: Callable[[], None],
    progress: Callable[[int, int], None],
    out_of_memory: Callable[[str], None] = ignore,
) -> Rendered:
    """Make the film and its plan, in the best way that this machine has; begin anew where a card fails meanwhile.

    `checkpoint` is called before every frame and raises to stop; then no part of the film is left. `progress` hears
    how many frames were handed to the encoder, and of how many; `out_of_memory` when a card had none left.

    Raises PermanentError when the order cannot be filmed.
    """
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
                notes = _shoot(order, film, letters, way, sound, checkpoint=checkpoint, progress=hears)
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
        )


def _shoot(
    order: FilmOrder,
    film: Plan,
    letters: tuple[fonts.Font, Faces],
    way: Way,
    sound: Future[Track],
    *,
    checkpoint: Callable[[], None],
    progress: Callable[[int], None],
) -> tuple[str, ...]:
    """Compose and encode all frames in this way; the file is there at the end, and its plan before it.

    Returns what is to be said of its pictures.
    """
    style = styles.named(order.style, order.aspect)
    captions = Captions(film, style, letters[0], order.script.language)
    cards = Cards(film, style, letters[1])
    with contextlib.ExitStack() as rooms:
        shots = rooms.enter_context(Shots(film, order.pictures, way.compositor))
        size = (film.width, film.height)
        writer = rooms.enter_context(
            Encoder(Path(order.out), size, order.video, sound, codec=way.codec, as_frame=way.compositor.frame)
        )
        for frame in range(film.frames):
            checkpoint()
            laid = cards.at(frame) + ([(caption, 1.0)] if (caption := captions.at(frame)) else [])
            writer.write(way.compositor.compose(shots.layers(frame), laid))
            progress(frame + 1)
        # Before the film gets its name: a film that is there has a plan.
        seen = msgspec.structs.replace(film, flat_shots=shots.flat)
        Path(order.plan_out).write_bytes(msgspec.json.encode(seen))
    return tuple(dict.fromkeys(shots.notes))


def _letters(film: Plan, order: FilmOrder) -> tuple[fonts.Font, Faces]:
    """The fonts of captions and of cards, chosen by all that will be written on the pictures."""
    style, language = styles.named(order.style, order.aspect), order.script.language
    cards = " ".join(f"{card.text} {card.text.upper()}" for card in film.cards)
    return (
        fonts.choose(written(film.captions, style, language), style.text_font, language),
        Faces(fonts.choose(cards, style.display_font, language), fonts.choose(cards, style.text_font, language)),
    )
