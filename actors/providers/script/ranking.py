"""Ranks sentences by how much of a text they carry: LexRank over TF-IDF, with a pull towards the topic.

LexRank (Erkan and Radev, 2004) takes sentences as pages and likeness as links, and asks where a random reader stays
longest. It counts words and understands nothing. A few milliseconds for hundreds of sentences; memory grows with their
square, so texts are cut at `MAX_SENTENCES`.
"""

from __future__ import annotations

import re
from collections import Counter

import msgspec
import numpy as np
from numpy.typing import NDArray

#: More sentences than this are not compared; half an hour of narration has fewer than 700.
MAX_SENTENCES = 2000
_DAMPING = 0.85
_STEPS = 60
_TOPIC_WEIGHT = 0.5
_WORD = re.compile(r"[a-z\u00df-\u00ff][a-z\u00df-\u00ff'\u2019-]+")
_SHORTEST_TERM = 4
_STOP_WORDS = (
    "a an the of to in on and or but is are was were be been being has have had having it its this that these "
    "those with for by at from as so which who whom whose than more most also not no into can could may might "
    "must will would shall should do does did done if then there here their they them he she his her him you your "
    "we our us i my me what when where why how all any both each few many much such some other others only own "
    "same too very just about above after again against before below between down during further off once out "
    "over through under until up while because one two three make makes made get gets got use uses used around "
    "almost even ever still yet per every far away another therefore however although though instead upon without "
    "within along like well way thing things"
)
_STOP = frozenset(_STOP_WORDS.split())


class Ranking(msgspec.Struct, frozen=True):
    """What is known of a list of sentences; arrays are indexed like that list."""

    #: Between 0 and about 1.5; higher carries more.
    scores: NDArray[np.float32]
    #: Cosine of every pair, 0 to 1.
    likeness: NDArray[np.float32]
    #: Weight of each term (column) in each sentence (row), and the terms as the text writes them most often.
    weights: NDArray[np.float32]
    terms: tuple[str, ...]

    def top_terms(self, rows: list[int], count: int) -> tuple[str, ...]:
        """Return the terms that weigh most in these sentences, heaviest first; those of the whole text count more."""
        weight = self.weights[rows].sum(axis=0) * np.log1p(self.weights.sum(axis=0))
        order = sorted(range(len(self.terms)), key=lambda column: (-weight[column], self.terms[column]))
        wanted = [column for column in order if weight[column] > 0 and len(self.terms[column]) >= _SHORTEST_TERM]
        return tuple(self.terms[column] for column in wanted[:count])


def rank(sentences: list[str], topic: str) -> Ranking:
    """Rank `sentences` (at least one), leaning towards those that speak of `topic`."""
    words = [_words(sentence) for sentence in sentences]
    written: dict[str, Counter[str]] = {}
    for word in (word for row in words for word in row):
        written.setdefault(_stem(word), Counter())[word] += 1
    stems = sorted(written) or [""]
    column = {stem: index for index, stem in enumerate(stems)}
    counts = np.zeros((len(sentences), len(stems)), np.float32)
    for index, row in enumerate(words):
        for word in row:
            counts[index, column[_stem(word)]] += 1
    rarity = np.log1p(len(sentences) / (1 + (counts > 0).sum(axis=0))).astype(np.float32)
    weights = counts * rarity
    units = weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-9)
    likeness = units @ units.T
    about = np.zeros(len(stems), np.float32)
    about[[column[_stem(word)] for word in _words(topic) if _stem(word) in column]] = 1
    about *= rarity / max(float(np.linalg.norm(about * rarity)), 1e-9)
    scores = _stationary(likeness) + _TOPIC_WEIGHT * units @ about
    terms = tuple(written[stem].most_common(1)[0][0] if stem in written else "" for stem in stems)
    return Ranking(scores, likeness, weights, terms)


def _stationary(likeness: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where a reader stays who follows likeness; scaled so that the best sentence has 1."""
    links = likeness - np.diag(np.diag(likeness))
    links /= np.maximum(links.sum(axis=1, keepdims=True), 1e-9)
    size = len(links)
    stay = np.full(size, 1 / size, np.float32)
    for _ in range(_STEPS):
        stay = (1 - _DAMPING) / size + _DAMPING * (links.T @ stay)
    best: NDArray[np.float32] = stay / stay.max()
    return best


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in _STOP]


def _stem(word: str) -> str:
    """Fold the plural and the possessive of a word into one: enough to see that two sentences speak of one thing."""
    word = re.sub(r"['\u2019]s?$", "", word)
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
