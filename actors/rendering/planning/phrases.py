"""Breaks a scene's words into captions: where the speech breaks, short enough to read, even in length.

Every word is in exactly one phrase, in order; only what is written without blanks, and comes as one word, is cut first,
its time shared by length. Punctuation that ends a sentence and a pause break; a comma attracts a break; no phrase ends
on a word that leans on the next, unless the clause does; between all that the lines are made as even as they can be.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from actors.rendering.planning import unspaced
from actors.rendering.planning.weak_words import is_weak
from schema.documents import Word

#: A silence this long ends a phrase, seconds; after a word that leans on the next it must be the longer one.
PAUSE_S, HESITATION_S = 0.35, 0.8
_ENDS = (".", "?", "!", "…", ";", ":", "。", "！", "？", "；", "：", "؟", "؛", "۔", "।", "॥", "։", "።")  # noqa: RUF001 - other scripts'
_COMMAS = (",", "\u2013", "\u2014", "、", "，", "،", "፣")  # noqa: RUF001 - likewise
_COMMA_BONUS = 160.0
#: More than any unevenness costs.
_WEAK_END = 10_000.0
_CLOSING = "\"'”\u2019)]»」』）】》"  # noqa: RUF001 - likewise
#: What is written without blanks is lit in pieces when it is wider than this, columns.
_LONG_COLUMNS = 12


def phrases(words: Sequence[Word], max_words: int, max_chars: int, language: str = "en") -> list[tuple[Word, ...]]:
    """The words of one scene as captions of at most `max_words` words and `max_chars` columns.

    A single word longer than that is a phrase by itself; `language` is a BCP 47 tag. Words written without blanks are
    limited by columns alone.
    """
    whole = [piece for word in words for piece in _pieces(word, language)]
    return [
        phrase
        for clause in _clauses(whole, language)
        for phrase in _Clause(clause, language).split(max_words, max_chars)
    ]


def _pieces(word: Word, language: str) -> Iterator[Word]:
    """The word, or what it is cut into where it is a whole clause written without blanks."""
    parts = unspaced.cut(word.text, language) if unspaced.columns(word.text) > _LONG_COLUMNS else [word.text]
    ends = list(itertools.accumulate(unspaced.columns(part) for part in parts))
    length_s, start_s = word.end_s - word.start_s, word.start_s
    for part, end in zip(parts, ends, strict=True):
        end_s = word.end_s if part is parts[-1] else word.start_s + length_s * end / max(ends[-1], 1)
        yield Word(part, start_s, end_s) if len(parts) > 1 else word
        start_s = end_s


def _clauses(words: Sequence[Word], language: str) -> Iterator[Sequence[Word]]:
    first = 0
    for place, word in enumerate(words, start=1):
        last = place == len(words)
        ends = word.text.rstrip(_CLOSING).endswith(_ENDS)
        enough_s = HESITATION_S if is_weak(word.text, language) else PAUSE_S
        if last or ends or words[place].start_s - word.end_s >= enough_s:
            yield words[first:place]
            first = place


class _Clause:
    """Words that belong together, and what it costs to cut them here or there."""

    def __init__(self, words: Sequence[Word], language: str) -> None:
        self._words, self._language = words, language
        texts = [word.text for word in words]
        gaps = [*unspaced.gaps(texts), ""] if texts else []
        #: How many columns a word takes, and with what stands after it.
        self._bare = [unspaced.columns(text) for text in texts]
        self._wide = [bare + len(gap) for bare, gap in zip(self._bare, gaps, strict=True)]
        self._counted = [not unspaced.is_unspaced(text) for text in texts]

    def split(self, max_words: int, max_chars: int) -> list[tuple[Word, ...]]:
        """The cheapest way to cut it, found from its end backwards."""
        words, chars = self._words, sum(self._wide) + 1
        lines = max(-(-sum(self._counted) // max_words), -(-chars // (max_chars + 1)), 1)
        target = chars / lines
        # best[i] is (cost, end of the first phrase) for the words from i on
        best: list[tuple[float, int]] = [(0.0, len(words))] * (len(words) + 1)
        for start in reversed(range(len(words))):
            best[start] = min(
                (self._cost(start, end, target) + best[end][0], end) for end in self._ends(start, max_words, max_chars)
            )
        cuts, start = [], 0
        while start < len(words):
            end = best[start][1]
            cuts.append(tuple(words[start:end]))
            start = end
        return cuts

    def _ends(self, start: int, max_words: int, max_chars: int) -> Iterator[int]:
        chars = counted = 0
        for end in range(start + 1, len(self._words) + 1):
            counted += self._counted[end - 1]
            if end > start + 1 and (chars + self._bare[end - 1] > max_chars or counted > max_words):
                return
            chars += self._wide[end - 1]
            yield end

    def _cost(self, start: int, end: int, target: float) -> float:
        # each phrase costs a little, so that few long ones beat many short ones
        cost = (sum(self._wide[start:end]) + (end == len(self._words)) - target) ** 2 + 40.0
        if end < len(self._words):
            cost -= _COMMA_BONUS * _pauses(self._words[end - 1])
            # "swims, that | third heart"
            cost += _COMMA_BONUS * (end - start > 1 and _pauses(self._words[end - 2]))
            cost += _WEAK_END * is_weak(self._words[end - 1].text, self._language)
        return cost


def _pauses(word: Word) -> bool:
    return word.text.rstrip(_CLOSING).endswith(_COMMAS)
