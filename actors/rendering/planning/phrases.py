"""Breaks a scene's words into captions: where the speech breaks, short enough to read, even in length.

Every word is in exactly one phrase, in order. Punctuation that ends a sentence and a pause always break; a comma
attracts a break; between them the lines are made as even as they can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schema.documents import Word

#: A silence this long ends a phrase, seconds.
PAUSE_S = 0.35
_ENDS = (".", "?", "!", "…", ";", ":")
_COMMA_BONUS = 160.0
_CLOSING = "\"'”\u2019)]»"


def phrases(words: Sequence[Word], max_words: int, max_chars: int) -> list[tuple[Word, ...]]:
    """The words of one scene as captions of at most `max_words` words and `max_chars` characters.

    A single word longer than that is a phrase by itself.
    """
    return [phrase for clause in _clauses(words) for phrase in _split(clause, max_words, max_chars)]


def _clauses(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    first = 0
    for place, word in enumerate(words, start=1):
        last = place == len(words)
        ends = word.text.rstrip(_CLOSING).endswith(_ENDS)
        if last or ends or words[place].start_s - word.end_s >= PAUSE_S:
            yield words[first:place]
            first = place


def _split(words: Sequence[Word], max_words: int, max_chars: int) -> list[tuple[Word, ...]]:
    """The cheapest way to cut one clause, found from its end backwards."""
    chars = sum(len(word.text) + 1 for word in words)
    lines = max(-(-len(words) // max_words), -(-chars // (max_chars + 1)))
    target = chars / lines
    # best[i] is (cost, end of the first phrase) for the words from i on
    best: list[tuple[float, int]] = [(0.0, len(words))] * (len(words) + 1)
    for start in reversed(range(len(words))):
        best[start] = min(
            (_cost(words[start:end], target, is_last=end == len(words)) + best[end][0], end)
            for end in _ends(words, start, max_words, max_chars)
        )
    cuts, start = [], 0
    while start < len(words):
        end = best[start][1]
        cuts.append(tuple(words[start:end]))
        start = end
    return cuts


def _ends(words: Sequence[Word], start: int, max_words: int, max_chars: int) -> Iterator[int]:
    chars = -1
    for end in range(start + 1, min(start + max_words, len(words)) + 1):
        chars += 1 + len(words[end - 1].text)
        if chars > max_chars and end > start + 1:
            return
        yield end


def _cost(words: Sequence[Word], target: float, *, is_last: bool) -> float:
    chars = sum(len(word.text) + 1 for word in words)
    # each phrase costs a little, so that few long ones beat many short ones
    cost = (chars - target) ** 2 + 40.0
    if not is_last:
        cost -= _COMMA_BONUS * _pauses(words[-1])
        cost += _COMMA_BONUS * (len(words) > 1 and _pauses(words[-2]))  # "swims, that | third heart"
    return cost


def _pauses(word: Word) -> bool:
    return word.text.rstrip(_CLOSING).endswith((",", "\u2013", "\u2014"))
