"""Puts a film on the grid of frames: shots, captions, cards and pauses, from the words and their times.

The voice is the clock: every time is taken from it once and rounded to a frame once, so nothing adds up. Guarantees
shots without gaps, at most two at a time, and refuses by name what cannot be planned, before anything is drawn.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence

from actors.rendering import styles
from actors.rendering.order import FilmOrder
from actors.rendering.planning.cards import cards
from actors.rendering.planning.clipping import Clippings, Usable, lengths_s, longest_s
from actors.rendering.planning.framing import UNMOVED, Interest, moves
from actors.rendering.planning.phrases import phrases
from actors.rendering.planning.plan import Caption, Plan, Shot, Silence, Transition
from actors.rendering.styles import Style
from schema.documents import Word
from schema.errors import PermanentError
from schema.settings.video import frame_size

#: The voice begins this long after the film does, and ends this long before it, seconds.
LEAD_IN_S, LEAD_OUT_S = 0.6, 3.0
#: A picture that shares its scene with others stays at least this long, seconds.
_SHOT_MIN_S = 2.0
#: A caption stays this long after its last word, unless the next one comes; seconds.
_LINGER_S = 0.6
#: Words may lie beyond the end of the voice by this much, seconds.
_SLACK_S = 0.25
#: A gap between words that counts as a silence, seconds.
_GAP_S = 0.15


def plan(
    order: FilmOrder, voice_s: float, interests: Sequence[Interest] = (), clips: Mapping[int, Usable] | None = None
) -> Plan:
    """The plan of this film; `voice_s` is the length of the voice as decoded, `interests` what matters in each picture.

    `clips` says what can be shown of each picture that is a clip.

    Raises PermanentError, naming the scene or the word, when script, pictures and speech do not fit together.
    """
    _check(order, voice_s)
    fps = order.video.fps
    width, height = frame_size(order.video, order.aspect)
    style = styles.named(order.style, order.aspect)
    frames = round((LEAD_IN_S + voice_s + LEAD_OUT_S) * fps)
    bounds = _scene_bounds(order, fps, frames)
    shots = _shots(order, bounds, style, interests or [Interest()] * len(order.pictures), clips or {})
    captions = _captions(order, style, fps, frames)
    # The end card comes when the voice has gone and the last caption with it.
    end = max([_frame(voice_s, fps), *(caption.end for caption in captions)])
    return Plan(
        width=width,
        height=height,
        fps=fps,
        frames=frames,
        voice_start_s=LEAD_IN_S,
        voice_s=voice_s,
        shots=tuple(shots),
        captions=tuple(captions),
        cards=tuple(cards(order, shots, bounds, (end, frames))),
        silences=tuple(_silences(order, frames / fps)),
        style=order.style,
    )


def _check(order: FilmOrder, voice_s: float) -> None:
    scenes, spoken = order.script.scenes, order.speech.scenes
    if not scenes or len(scenes) != len(spoken):
        raise PermanentError(f"the script has {len(scenes)} scenes and the speech {len(spoken)}: expected as many")
    if len(order.pictures) != len(order.footage.pictures):
        got = f"{len(order.pictures)} picture files for {len(order.footage.pictures)} pictures"
        raise PermanentError(f"{got}: expected one each")
    for scene in range(len(scenes)):
        if not any(picture.scene == scene for picture in order.footage.pictures):
            raise PermanentError(f"scene {scene + 1} has no picture", hint="each scene needs at least one")
    last = 0.0
    for scene, word in ((scene, word) for scene, part in enumerate(spoken) for word in part.words):
        where = f"the word {word.text!r} of scene {scene + 1}, {word.start_s:.2f} to {word.end_s:.2f} s,"
        if word.start_s < last or word.end_s < word.start_s:
            raise PermanentError(f"{where} lies before the end of the time already spoken, {last:.2f} s")
        if word.end_s > voice_s + _SLACK_S:
            raise PermanentError(f"{where} lies beyond the end of the voice, {voice_s:.2f} s")
        # Ends may overlap the next word by a breath: a caption follows only the starts.
        last = word.start_s


def _frame(voice_time_s: float, fps: int) -> int:
    return round((LEAD_IN_S + voice_time_s) * fps)


def _scene_bounds(order: FilmOrder, fps: int, frames: int) -> list[int]:
    """The frames at which scenes begin, in the middle of the pause between them, and the end of the film."""
    inner = [
        _frame((before.end_s + after.start_s) / 2, fps) for before, after in itertools.pairwise(order.speech.scenes)
    ]
    bounds = [0]
    for bound in inner:
        bounds.append(min(max(bound, bounds[-1]), frames))
    return [*bounds, frames]


def _shots(
    order: FilmOrder,
    bounds: Sequence[int],
    style: Style,
    interests: Sequence[Interest],
    clips: Mapping[int, Usable],
) -> list[Shot]:
    fps, (width, height) = order.video.fps, frame_size(order.video, order.aspect)
    cuts, who = _cuts(order, bounds, style, clips)
    lengths = [end - begin for begin, end in itertools.pairwise(cuts)]
    chosen = _transitions([picture for picture, _ in who], style, order.seed)
    # One that would be longer than a shot shrinks, so that no third shot is ever there.
    halves = [0] + [
        0 if transition == "cut" else min(round(style.transition_s * fps), before, after) // 2
        for transition, (before, after) in zip(chosen[1:], itertools.pairwise(lengths), strict=True)
    ]
    spans = [
        (first - before, end + after)
        for (first, end), before, after in zip(itertools.pairwise(cuts), halves, [*halves[1:], 0], strict=True)
    ]
    seconds = [(end - first) / fps for first, end in spans]
    seen = [interests[picture] for picture, _ in who]
    led = moves(list(zip(seen, seconds, strict=True)), width / height, order.seed)
    clippings = Clippings()
    return [
        Shot(
            picture=picture,
            scene=scene,
            first=first,
            end=end,
            fade=2 * half,
            move=UNMOVED if picture in clips else move,
            transition=transition if half else "cut",
            focus=(interests[picture].x, interests[picture].y),
            part=clippings.part(picture, clips[picture], first / fps, end / fps) if picture in clips else None,
        )
        for (picture, scene), (first, end), half, move, transition in zip(who, spans, halves, led, chosen, strict=True)
    ]


def _cuts(
    order: FilmOrder, bounds: Sequence[int], style: Style, clips: Mapping[int, Usable]
) -> tuple[list[int], list[tuple[int, int]]]:
    """The frames at which shots meet, from the film's first to its end, and each shot's picture and scene."""
    fps, least_s = order.video.fps, min(_SHOT_MIN_S, style.shot_max_s)
    cuts, who = [0], []
    for scene, (begin, end) in enumerate(itertools.pairwise(bounds)):
        pictures = [place for place, picture in enumerate(order.footage.pictures) if picture.scene == scene]
        seconds = (end - begin) / fps
        if end == begin:
            continue
        if any(picture in clips for picture in pictures):
            most_s = [longest_s(clips.get(picture), style.shot_max_s, style.transition_s) for picture in pictures]
            lengths = lengths_s(most_s, seconds, max(1, min(len(pictures), int(seconds // least_s))))
            count = len(lengths)
            cuts += [begin + round(reached * fps) for reached in itertools.accumulate(lengths[:-1])] + [end]
        else:
            count = max(1, min(max(len(pictures), -int(-seconds // style.shot_max_s)), int(seconds // least_s)))
            cuts += [begin + round((end - begin) * place / count) for place in range(1, count + 1)]
        who += [(pictures[place % len(pictures)], scene) for place in range(count)]
    return cuts, who


def _transitions(pictures: Sequence[int], style: Style, seed: int) -> list[Transition]:
    """How each shot begins: as the style has it, no way twice running where there are several."""
    dice = random.Random(seed + 1)  # noqa: S311 - not for secrets; moves take the seed itself
    chosen: list[Transition] = ["cut"]
    last: Transition | None = None
    for before, after in itertools.pairwise(pictures):
        if before == after:
            chosen.append("fade")  # an edge that travels across one picture would look like a fault
            continue
        others = [way for way in dict.fromkeys(style.transitions) if way != last] or list(style.transitions)
        chosen.append(last := dice.choice(others))
    return chosen


def _captions(order: FilmOrder, style: Style, fps: int, frames: int) -> list[Caption]:
    spoken: list[tuple[Word, ...]] = []
    for scene in order.speech.scenes:
        shown = [word for word in scene.words if word.text.strip()]
        spoken += phrases(shown, style.caption_words, style.caption_chars, order.script.language)
    captions: list[Caption] = []
    for place, words in enumerate(spoken):
        starts = tuple(_frame(word.start_s, fps) for word in words)
        stays = _frame(words[-1].end_s + _LINGER_S, fps)
        following = _frame(spoken[place + 1][0].start_s, fps) if place + 1 < len(spoken) else frames
        end = min(max(stays, starts[-1] + 1), following)
        if starts[0] < end:
            captions.append(Caption(tuple(" ".join(word.text.split()) for word in words), starts, starts[0], end))
    return captions


def _silences(order: FilmOrder, duration_s: float) -> list[Silence]:
    words = [word for scene in order.speech.scenes for word in scene.words]
    ends = [0.0, *(LEAD_IN_S + word.end_s for word in words)]
    begins = [*(LEAD_IN_S + word.start_s for word in words), duration_s]
    return [Silence(end, begin) for end, begin in zip(ends, begins, strict=True) if begin - end >= _GAP_S]
