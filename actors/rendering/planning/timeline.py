"""Puts a film on the grid of frames: shots, captions, cards and pauses, from the words and their times.

The voice is the clock: every time is taken from it once and rounded to a frame once, so nothing adds up. Guarantees
shots without gaps, at most two at a time, and refuses by name what cannot be planned, before anything is drawn.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from actors.rendering import styles
from actors.rendering.order import FilmOrder
from actors.rendering.planning.cards import cards
from actors.rendering.planning.framing import moves
from actors.rendering.planning.phrases import phrases
from actors.rendering.planning.plan import Caption, Plan, Shot, Silence
from actors.rendering.styles import Style, frame_size
from schema.documents import Word
from schema.errors import PermanentError

#: The voice begins this long after the film does, and ends this long before it, seconds.
LEAD_IN_S, LEAD_OUT_S = 0.6, 3.0
FADE_S = 0.5
#: How long one picture stays with one move, seconds.
_SHOT_MIN_S, _SHOT_MAX_S = 2.0, 8.0
#: A caption stays this long after its last word, unless the next one comes; seconds.
_LINGER_S = 0.6
#: Words may lie beyond the end of the voice by this much, seconds.
_SLACK_S = 0.25
#: A gap between words that counts as a silence, seconds.
_GAP_S = 0.15


def plan(order: FilmOrder, voice_s: float) -> Plan:
    """The plan of this film; `voice_s` is the length of the voice as decoded.

    Raises PermanentError, naming the scene or the word, when script, pictures and speech do not fit together.
    """
    _check(order, voice_s)
    fps = order.video.fps
    width, height = frame_size(order.aspect, order.video.video_quality)
    frames = round((LEAD_IN_S + voice_s + LEAD_OUT_S) * fps)
    bounds = _scene_bounds(order, fps, frames)
    shots, captions = _shots(order, bounds, fps), _captions(order, styles.named(order.style, order.aspect), fps, frames)
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
    for picture in order.footage.pictures:
        if picture.kind != "still":
            raise PermanentError(f"{picture.artifact.path} is a {picture.kind}: expected a still picture")
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


def _shots(order: FilmOrder, bounds: Sequence[int], fps: int) -> list[Shot]:
    cuts, who = [0], []
    for scene, (begin, end) in enumerate(itertools.pairwise(bounds)):
        pictures = [place for place, picture in enumerate(order.footage.pictures) if picture.scene == scene]
        seconds = (end - begin) / fps
        if end == begin:
            continue
        count = max(1, min(max(len(pictures), -int(-seconds // _SHOT_MAX_S)), int(seconds // _SHOT_MIN_S)))
        cuts += [begin + round((end - begin) * place / count) for place in range(1, count + 1)]
        who += [(pictures[place % len(pictures)], scene) for place in range(count)]
    lengths = [end - begin for begin, end in itertools.pairwise(cuts)]
    fades = [min(round(FADE_S * fps), before, after) // 2 * 2 for before, after in itertools.pairwise(lengths)]
    halves = [0, *(fade // 2 for fade in fades), 0]
    return [
        Shot(
            picture=picture,
            scene=scene,
            first=cuts[place] - halves[place],
            end=cuts[place + 1] + halves[place + 1],
            fade=2 * halves[place],
            move=move,
        )
        for place, ((picture, scene), move) in enumerate(zip(who, moves(len(who), order.seed), strict=True))
    ]


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
