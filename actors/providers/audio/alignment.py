"""When each word of a text sounds, for voices that tell less than that.

From the time of every character, from the time at which words start, or, where a voice gives no times at all, by
listening: forced alignment with pocketsphinx, English only, whose unknown words are spelled by rule. Where even that
does not work the times are estimated from the lengths of the words, and the result says so. No word overlaps the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import structlog
from numpy.typing import NDArray

from actors.providers.audio.reading import caption_words
from actors.providers.audio.sounds import phones_of, spoken_words
from schema.documents import Word

_log = structlog.get_logger(__name__)
_ALIGNER_HZ = 16_000
_FRAMES_A_SECOND = 100
_SHORTEST_WORD_S = 0.03
#: In less than this nobody says anything.
_SHORTEST_SOUND_S = 0.05
#: Words are heard this much before they sound, by words whose beginnings are known (24 and 26 ms on two sets of 57).
_EARLY_S = 0.02
#: A word is shown no longer than its letters take, also when a pause follows it.
_WORD_S, _LETTER_S = 0.35, 0.12
#: Sound is where 10 ms are louder than this share of the loudest (-46 dB).
_SOUND_LEVEL = 0.005


def from_characters(
    text: str, characters: Sequence[str], starts_s: Sequence[float], ends_s: Sequence[float], duration_s: float
) -> tuple[Word, ...] | None:
    """The caption words of `text` by the times of its characters; None when the characters are not those of `text`."""
    if not all(map(math.isfinite, (*starts_s, *ends_s))):
        return None
    words = caption_words(text)
    sounding = [place for place, sign in enumerate(characters) if not sign.isspace()]
    bare = "".join("".join(characters[place].split()) for place in sounding)
    wanted = ["".join(word.split()) for word in words]
    if len(bare) != len(sounding) or bare != "".join(wanted) or not len(characters) == len(starts_s) == len(ends_s):
        return None
    found, place = [], 0
    for word, letters in zip(words, wanted, strict=True):
        first, last = sounding[place], sounding[place + len(letters) - 1]
        found.append(Word(word, starts_s[first], ends_s[last]))
        place += len(letters)
    return apart(found, duration_s)


def from_starts(text: str, starts_s: Sequence[float], duration_s: float) -> tuple[Word, ...] | None:
    """The caption words of `text` by when each starts; None when there are not as many times as words."""
    words = caption_words(text)
    if len(words) != len(starts_s) or not words or not all(map(math.isfinite, starts_s)):
        return None
    limits = [*starts_s[1:], duration_s]
    return apart(
        [
            Word(word, start, min(limit, start + _WORD_S + _LETTER_S * len(word)))
            for word, start, limit in zip(words, starts_s, limits, strict=True)
        ],
        duration_s,
    )


def by_listening(
    text: str, samples: NDArray[np.int16], sample_rate_hz: int, language: str
) -> tuple[tuple[Word, ...], Literal["aligned", "estimated"]]:
    """The caption words of `text` as they are heard in mono `samples`, and whether they really were heard."""
    duration_s = len(samples) / sample_rate_hz
    words = caption_words(text)
    if language.split("-", maxsplit=1)[0].lower() == "en":
        spans = _heard(words, samples, sample_rate_hz)
        if spans is not None:
            timed = [Word(word, start, end) for word, (start, end) in zip(words, spans, strict=True)]
            return apart(timed, duration_s), "aligned"
    return _estimated(words, samples, sample_rate_hz), "estimated"


def apart(words: Sequence[Word], duration_s: float) -> tuple[Word, ...]:
    """Put words in order, free of overlaps and inside the sound; each keeps a moment of its own where there is room."""
    shortest_s = min(_SHORTEST_WORD_S, duration_s / max(1, len(words)))
    starts: list[float] = []
    for place, word in enumerate(words):
        earliest_s = starts[-1] + shortest_s if starts else 0.0
        latest_s = duration_s - shortest_s * (len(words) - place)
        starts.append(max(earliest_s, min(word.start_s, latest_s)))
    limits = [*starts[1:], max(duration_s, starts[-1] if starts else 0.0)]
    return tuple(
        Word(word.text, start, min(max(word.end_s, start + shortest_s), limit))
        for word, start, limit in zip(words, starts, limits, strict=True)
    )


def _heard(words: list[str], samples: NDArray[np.int16], sample_rate_hz: int) -> list[tuple[float, float]] | None:
    """Start and end of each word in seconds; None when the aligner is not here or does not follow the text."""
    try:
        from pocketsphinx import Decoder  # noqa: PLC0415 - tens of megabytes of model, and not for every Python
    except ImportError:
        _log.warning("alignment.estimated", reason="pocketsphinx has no wheel for this version of Python")
        return None
    if len(samples) < _SHORTEST_SOUND_S * sample_rate_hz:
        return None
    decoder = Decoder(lm=None, samprate=_ALIGNER_HZ, loglevel="FATAL")
    said, owner = [], []
    for place, word in enumerate(words):
        for spoken in spoken_words(word):
            if decoder.lookup_word(spoken) is None:
                decoder.add_word(spoken, " ".join(phones_of(spoken)), update=True)
            said.append(spoken)
            owner.append(place)
    if set(owner) != set(range(len(words))):
        return None  # a word without any sound that we know
    try:
        decoder.set_align_text(" ".join(said))
        decoder.start_utt()
        decoder.process_raw(_at_aligner_rate(samples, sample_rate_hz).tobytes(), full_utt=True)
        decoder.end_utt()
    except RuntimeError as error:  # it gives up on sound that cannot be this text
        _log.warning("alignment.estimated", reason=str(error))
        return None
    heard = [part for part in decoder.seg() or () if part.word[0] not in "<(["]
    if [part.word.split("(")[0] for part in heard] != said:
        _log.warning("alignment.estimated", reason=f"heard {len(heard)} of {len(said)} words")
        return None
    spans: dict[int, tuple[float, float]] = {}
    for place, part in zip(owner, heard, strict=True):
        end_s = (part.end_frame + 1) / _FRAMES_A_SECOND
        start_s = min(part.start_frame / _FRAMES_A_SECOND + _EARLY_S, end_s)
        spans[place] = (spans.get(place, (start_s,))[0], end_s)
    return [spans[place] for place in range(len(words))]


def _at_aligner_rate(samples: NDArray[np.int16], sample_rate_hz: int) -> NDArray[np.int16]:
    """Resample in the frequency domain: exact for a sound of seconds."""
    length = len(samples) * _ALIGNER_HZ // sample_rate_hz
    spectrum = np.fft.rfft(samples.astype(np.float64))[: length // 2 + 1]
    slower = np.fft.irfft(spectrum, length) * length / max(1, len(samples))
    return np.clip(np.round(slower), -32768, 32767).astype("<i2")


def _estimated(words: list[str], samples: NDArray[np.int16], sample_rate_hz: int) -> tuple[Word, ...]:
    """Share the sounding part among the words by their letters."""
    duration_s = len(samples) / sample_rate_hz
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _SOUND_LEVEL * max(1, int(np.abs(samples).max(initial=1))))
    begin_s, end_s = (loud[0] / sample_rate_hz, loud[-1] / sample_rate_hz) if len(loud) else (0.0, duration_s)
    shares = np.cumsum([0, *(len(word) + 1 for word in words)])
    times = begin_s + (end_s - begin_s) * shares / max(1, int(shares[-1]))
    return apart(
        [Word(word, float(times[place]), float(times[place + 1])) for place, word in enumerate(words)], duration_s
    )
