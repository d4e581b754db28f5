"""Writes a script without any model: it chooses whole sentences of the notes, in their order, to fit the length.

Every word of the script stands in the notes, and each scene says in which paragraph. It cannot write from a bare topic,
shorten a sentence or turn a list into prose: the better the notes, the better the film.
"""

from __future__ import annotations

import re

import msgspec

from actors.providers.script.notes import Paragraph, paragraphs, plain
from actors.providers.script.ranking import MAX_SENTENCES, Ranking, rank
from schema.documents import Brief, Scene, Script
from schema.errors import PermanentError

#: The local voice, fitted to the samples (0.3 s standard deviation a sentence): seconds for a character, for what a
#: digit takes beyond that ("1736" is said in four words), and for a sentence with its share of the pauses.
_CHARACTER_S = 0.0557
_DIGIT_S = 0.218
_SENTENCE_S = 0.5
#: What a film has before the first word and after the last one.
_EDGES_S = 2.0
_FEWEST_WORDS = 25
_SCENE_MAX_S = 12.0
_SCENE_MIN_S = 5.0
_SCENE_MAX_SENTENCES = 3
_TERMS_A_SCENE = 5
_TAGS = 8
#: Longer sentences, in words, are hard to follow; shorter ones mostly announce what the next one says.
_GOOD_LENGTH = range(9, 35)

_OPENING_BONUS, _CLOSING_BONUS = 0.6, 0.3
_LEAD_BONUS, _FIGURE_BONUS, _NEW_PARAGRAPH_BONUS = 0.35, 0.2, 0.5
_LENGTH_PENALTY, _REPETITION_PENALTY = 0.4, 0.7
#: A sentence that begins so, or points back so, leans on the one before it and is only chosen together with it.
_LEANING = re.compile(
    r"(?:this|that|these|those|they|it|its|he|she|his|her|their|such|but|and|so|or|yet|both|instead|then|there|however|"
    r"therefore|also|thus|hence|meanwhile|moreover|otherwise|similarly|some of|none of|one of|most of|many of|each of|"
    r"all of|at the same time|for example|for instance|in contrast|as a result|because of this|what remains|in short|"
    r"others?)\b"
    r"|(?:\w+ ){0,4}(?:they|them|he|she|later|earlier)\b"
    r"|.*\b(?:these|those|such an?|the former|the latter|the same|the first|the second) ",
    re.IGNORECASE,
)
_HINT = (
    "add notes, a text in English of about 150 words for each minute, such as: "
    'topic "Why the sky is blue" notes "Sunlight holds every color. The air scatters blue light most. ..."'
)


class _Line(msgspec.Struct, frozen=True):
    """A sentence and the paragraph it stands in; `place` is its place in the paragraph."""

    text: str
    place: int
    paragraph: Paragraph

    @property
    def duration_s(self) -> float:
        return len(self.text) * _CHARACTER_S + sum(map(str.isdigit, self.text)) * _DIGIT_S + _SENTENCE_S


def write(brief: Brief) -> Script:
    """Write a script for `brief` from its notes.

    Raises:
        PermanentError: there are no notes, or too few words in them that can be spoken.
    """
    if not brief.notes.strip():
        raise PermanentError(
            f"only a topic was given ({brief.topic!r}), and no words to make a script from", hint=_HINT
        )
    found = [_Line(text, place, part) for part in paragraphs(brief.notes) for place, text in enumerate(part.sentences)]
    lines = found[:MAX_SENTENCES]
    words = sum(len(line.text.split()) for line in lines)
    if words < _FEWEST_WORDS:
        message = f"got notes with {words} words that can be spoken, expected at least {_FEWEST_WORDS}"
        raise PermanentError(message, hint=_HINT)
    ranking = rank([line.text for line in lines], brief.topic)
    chosen = _chosen(lines, ranking, brief.length_s - _EDGES_S)
    scenes = tuple(_scene(group, lines, ranking) for group in _grouped([(index, lines[index]) for index in chosen]))
    return Script(
        title=_title(brief.topic), scenes=scenes, description=scenes[0].narration, tags=ranking.top_terms(chosen, _TAGS)
    )


def _title(topic: str) -> str:
    """Tidy a topic: no markup, no quotes around it, no full stop, a capital in front."""
    bare = plain(topic.lstrip("# ")).strip("\"'\u201c\u201d").removesuffix(".")
    return bare[:1].upper() + bare[1:]


def _chosen(lines: list[_Line], ranking: Ranking, budget_s: float) -> list[int]:
    """Choose the sentences that say most without saying it twice, until the time is filled; indexes in text order."""
    if sum(line.duration_s for line in lines) <= budget_s:
        return list(range(len(lines)))
    worth = ranking.scores + [_bonus(line) for line in lines]
    worth[0] += _OPENING_BONUS
    worth[-1] += _CLOSING_BONUS
    repeats = worth * 0
    chosen: set[int] = set()
    seen: set[int] = set()
    while True:
        open_to = [
            index
            for index, line in enumerate(lines)
            if index not in chosen and line.duration_s <= budget_s and _stands(line, index, chosen)
        ]
        if not open_to:
            break
        best = max(
            open_to,
            key=lambda index: (
                worth[index] - repeats[index] + _NEW_PARAGRAPH_BONUS * (lines[index].paragraph.number not in seen)
            ),
        )
        chosen.add(best)
        seen.add(lines[best].paragraph.number)
        repeats = repeats.clip(min=_REPETITION_PENALTY * ranking.likeness[best])
        budget_s -= lines[best].duration_s
    return sorted(chosen) or [min(range(len(lines)), key=lambda index: lines[index].duration_s)]


def _bonus(line: _Line) -> float:
    odd = len(line.text.split()) not in _GOOD_LENGTH
    figures = any(sign.isdigit() for sign in line.text)
    return _LEAD_BONUS * (line.place == 0) + _FIGURE_BONUS * figures - _LENGTH_PENALTY * odd


def _stands(line: _Line, index: int, chosen: set[int]) -> bool:
    """Say whether a sentence can be understood beside those chosen: it leans on nothing, or on one that is there."""
    return not _LEANING.match(line.text) or index == 0 or index - 1 in chosen


def _grouped(chosen: list[tuple[int, _Line]]) -> list[list[int]]:
    """Pack sentences into scenes: a paragraph or a part of one, short ones under the same heading together."""
    groups: list[list[int]] = []
    last: _Line | None = None
    length_s = 0.0
    for index, line in chosen:
        full = length_s + line.duration_s > _SCENE_MAX_S or (groups and len(groups[-1]) >= _SCENE_MAX_SENTENCES)
        turns = last is not None and last.paragraph != line.paragraph and length_s >= _SCENE_MIN_S
        other = last is not None and last.paragraph.heading != line.paragraph.heading
        if last is None or full or turns or other:
            groups.append([])
            length_s = 0.0
        groups[-1].append(index)
        length_s += line.duration_s
        last = line
    return groups


def _scene(group: list[int], lines: list[_Line], ranking: Ranking) -> Scene:
    numbers = sorted({lines[index].paragraph.number for index in group})
    return Scene(
        narration=" ".join(lines[index].text for index in group),
        heading=lines[group[0]].paragraph.heading,
        search_terms=ranking.top_terms(group, _TERMS_A_SCENE),
        source=f"notes, paragraph{'s' * (len(numbers) > 1)} {' and '.join(map(str, numbers))}",
    )
