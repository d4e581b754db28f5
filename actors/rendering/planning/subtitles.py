"""Subtitles beside the film, SRT and WebVTT, from the plan's captions.

Captions are short and quick, for a screen that lights every word; subtitles are read: captions that follow each other
are put together to cues of up to two lines, in the same words and at the same times. Guarantees cues without overlaps,
in order, and text that no player takes for markup. Direction and shaping are the player's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from actors.rendering.planning import unspaced
from actors.rendering.planning.plan import Caption, Plan

#: Two lines of 42 columns and seven seconds are what broadcasters allow at most.
_LINE_COLUMNS, _LINES, _LONGEST_S = 42, 2, 7.0
#: Captions further apart than this are not one cue, seconds.
_APART_S = 0.4
_ENDS = (".", "?", "!", "…", "。", "！", "？", "؟", "۔", "।")  # noqa: RUF001 - other scripts' own
_CLOSING = "\"'”\u2019)]»」』）"  # noqa: RUF001 - likewise
#: A cue that ends its sentence and has this many columns is not filled further.
_SENTENCE_COLUMNS = 24
#: A line that ends at a comma may be this much shorter or longer than the other, columns.
_COMMA_BONUS = 16
_COMMAS = (",", "\u2013", "\u2014", "、", "，", "،")  # noqa: RUF001 - likewise
#: Where two lines begin that end above the captions in the picture, by the shape of the frame.
_VTT_WIDE, _VTT_TALL = "line:70% align:center", "line:58% align:center"


class Cue(msgspec.Struct, frozen=True):
    """Text that is shown from `start_ms` up to, and not including, `end_ms`."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def srt(plan: Plan) -> str:
    """The film's subtitles as SubRip text, to be written in UTF-8.

    SubRip has no way to escape: an arrow becomes a real one, braces, between which players look for commands, become
    parentheses, and a character without width parts what would be a tag from its bracket.
    """
    return "".join(
        f"{number}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n{_srt_text(cue.lines)}\n\n"
        for number, cue in enumerate(cues(plan), start=1)
    )


def vtt(plan: Plan) -> str:
    """The film's subtitles as WebVTT, to be written in UTF-8."""
    place = _VTT_WIDE if plan.width > plan.height else _VTT_TALL
    return "WEBVTT\n\n" + "".join(
        f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')} {place}\n{_vtt_text(cue.lines)}\n\n"
        for cue in cues(plan)
    )


def cues(plan: Plan) -> list[Cue]:
    """What is shown when."""
    made: list[Cue] = []
    for group in _groups(plan.captions, plan.fps):
        words = [word for caption in group for word in caption.words]
        start_ms, end_ms = (round(frame * 1000 / plan.fps) for frame in (group[0].first, group[-1].end))
        start_ms = max(start_ms, made[-1].end_ms) if made else start_ms
        if words and end_ms > start_ms:
            made.append(Cue(start_ms, end_ms, _lines(words)))
    return made


def _groups(captions: Iterable[Caption], fps: int) -> Iterator[list[Caption]]:
    group: list[Caption] = []
    for caption in captions:
        if group and not _belongs(group, caption, fps):
            yield group
            group = []
        group.append(caption)
    if group:
        yield group


def _belongs(group: Sequence[Caption], caption: Caption, fps: int) -> bool:
    before = [word for shown in group for word in shown.words]
    ends = before[-1].rstrip(_CLOSING).endswith(_ENDS)
    return (
        caption.first - group[-1].end <= _APART_S * fps
        and caption.end - group[0].first <= _LONGEST_S * fps
        and not (ends and unspaced.columns(unspaced.joined(before)) >= _SENTENCE_COLUMNS)
        and len(_lines([*before, *caption.words])) <= _LINES
    )


def _lines(words: Sequence[str]) -> tuple[str, ...]:
    """The words on one line, on two about even ones, or on as many as it takes; a word too wide has one for itself."""
    whole = unspaced.joined(words)
    if unspaced.columns(whole) <= _LINE_COLUMNS:
        return (whole,)
    halves = [(unspaced.joined(words[:cut]), unspaced.joined(words[cut:])) for cut in range(1, len(words))]
    fitting = [half for half in halves if all(unspaced.columns(line) <= _LINE_COLUMNS for line in half)]
    if fitting:
        return min(fitting, key=_unevenness)
    return tuple(unspaced.joined(line) for line in _greedy(words, _LINE_COLUMNS))


def _unevenness(halves: tuple[str, str]) -> int:
    first, second = map(unspaced.columns, halves)
    return abs(first - second) - _COMMA_BONUS * halves[0].rstrip(_CLOSING).endswith(_COMMAS)


def _greedy(words: Sequence[str], columns: int) -> list[list[str]]:
    broken: list[list[str]] = []
    for word in words:
        if broken and unspaced.columns(unspaced.joined([*broken[-1], word])) <= columns:
            broken[-1].append(word)
        else:
            broken.append([word])
    return broken


def _time(moment_ms: int, point: str) -> str:
    seconds, thousandths = divmod(moment_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{thousandths:03}"


def _srt_text(lines: Iterable[str]) -> str:
    text = "\n".join(lines).replace("-->", "\u2192")
    return text.replace("<", "<\u2060").replace("{", "(").replace("}", ")")


def _vtt_text(lines: Iterable[str]) -> str:
    return "\n".join(lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
