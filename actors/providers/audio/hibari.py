"""The local voice: one English voice that ships in the wheel `hibari-tts`, and the time of every word it says.

The same text is the same sound, bit for bit, on the same machine. Guarantees that the words of a scene, joined by
blanks, are its narration, and that no word overlaps the next. Cannot read other languages, nor vary its voice.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np

# its runtime would report to its maker, and reads this when it is imported
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
from hibari import SAMPLE_RATE, Hibari, dsp
from hibari.g2p.normalize import normalize
from hibari.voices import voice_path

from actors.providers.audio.duration_output import with_durations
from actors.providers.audio.lexicon import read_lexicon
from actors.providers.audio.pacing import Piece, narrated
from actors.providers.audio.reading import caption_words, owners, readings
from actors.providers.ports import Checkpoint, Spoken
from actors.providers.sentences import sentences
from schema.documents import Scene, Script, Word
from schema.errors import ConfigurationError, PermanentError

_DURATION_S = 0.025
#: The model says that words start this much later than they sound, by words whose beginnings are known (13 and 15 ms
#: off in the median with it, on two sets of 57), and end this much later than forced alignment hears them. The aligner
#: hears starts some 20 ms early.
_START_BIAS_S = 0.06
_END_BIAS_S = 0.03
_FRAMES_PER_DURATION = 2
#: Signs of the model's alphabet that are pauses, not sounds.
_PAUSES = frozenset(';:,.!?—…"()“” ')
_CLAUSE_ENDS = tuple(",;:—")
#: The model was made for no more at a time; longer sentences are said in parts.
_MAX_PHONEMES = 400


class _Run(msgspec.Struct, frozen=True):
    """The phonemes of a caption word, by its index in the sentence; each word has one run or none."""

    word: int
    phonemes: str


class Voice:
    """Loads the voice once (about a second); `speak` may then be called from several threads."""

    def __init__(self, lexicon: Path | None) -> None:
        """Load the voice; `lexicon` is a file of lines `word /phonemes/` that overrule its own."""
        self._hibari = Hibari(model=with_durations(Path(voice_path("heart"))), threads=1)
        self._g2p = self._hibari.g2p
        if lexicon is not None:
            self._g2p.lexicon.golds.d.update(read_lexicon(lexicon, frozenset(self._hibari.vocab)))

    def speak(self, script: Script, out_wav: Path, *, checkpoint: Checkpoint) -> Spoken:
        """Write the narration as 16-bit mono WAV; `checkpoint` is called before each sentence.

        Raises:
            PermanentError: there is nothing to say, or a word that the voice has no sounds for.
        """
        if not script.scenes:
            raise PermanentError("got a script without scenes", hint="give the script at least one scene with words")
        return narrated([self._scene(scene, checkpoint) for scene in script.scenes], SAMPLE_RATE, out_wav)

    def _scene(self, scene: Scene, checkpoint: Checkpoint) -> list[Piece]:
        pieces: list[Piece] = []
        for sentence in sentences(scene.narration):
            checkpoint()
            words = caption_words(sentence)
            pieces += self._sentence(words) if words else []
        if not pieces:
            raise PermanentError(f"got a scene without words: {scene.narration!r}", hint="give each scene words to say")
        return pieces

    def _sentence(self, words: list[str]) -> list[Piece]:
        runs = self._runs(readings(words))
        heard = sorted({run.word for run in runs if set(run.phonemes) - _PAUSES})
        mute = [words[run.word] for run in runs if run.word not in heard and any(map(str.isalnum, words[run.word]))]
        if mute or not heard:
            word = mute[0] if mute else " ".join(words)
            hint = f"write {word!r} as English words, or give its sounds in the file that voice_lexicon names"
            raise PermanentError(f"the voice has no sounds for {word!r}", hint=hint)
        # A word without a run of its own was fused with the one before it: both are shown at once.
        ends = [*heard[1:], len(words)]
        texts = {
            word: " ".join(words[0 if word == heard[0] else word : end]) for word, end in zip(heard, ends, strict=True)
        }
        return [self._piece(part, texts) for part in _parts(runs)]

    def _runs(self, read: list[str]) -> list[_Run]:
        """Turn the readings of a sentence into phonemes."""
        tokens = self._g2p.phonemize_tokens(self._g2p.tokenize(normalize(" ".join(read))))
        texts, sounds = [""], [""]
        for token in tokens:
            texts[-1] += token.text
            sounds[-1] += "".join(sign for sign in token.phonemes or "" if sign in self._hibari.vocab)
            if token.whitespace:
                texts.append("")
                sounds.append("")
        by_word: dict[int, list[str]] = {}
        for word, sound in zip(owners(read, texts), sounds, strict=True):
            by_word.setdefault(word, []).append(sound)
        return [_Run(word, " ".join(filter(None, heard))) for word, heard in by_word.items()]

    def _piece(self, runs: list[_Run], texts: dict[int, str]) -> Piece:
        """Say some runs in one breath; `texts` is what the caption shows for each word."""
        signs, word_of_sign = "", []
        for run in runs:
            blank = " " if signs and run.phonemes else ""
            signs += blank + run.phonemes
            word_of_sign += [run.word] * len(blank + run.phonemes)
        ids = np.asarray([self._hibari.ids(signs)], np.int64)
        *outputs, steps = self._hibari.sess.run(None, {"ids": ids, "speed": np.ones(1, np.float32)})
        spectrum, steps = [output[0] for output in outputs], steps.reshape(-1)
        if len(steps) != ids.size or spectrum[0].shape[1] != _FRAMES_PER_DURATION * steps.sum():
            got = f"got {len(steps)} durations for {ids.size} phonemes and {spectrum[0].shape[1]} frames"
            raise ConfigurationError(f"the voice's model does not add up: {got}", hint="report this with the text")
        times = np.concatenate(([0.0], np.cumsum(steps))) * _DURATION_S
        spans: dict[int, tuple[float, float]] = {}
        for place, (sign, word) in enumerate(zip(signs, word_of_sign, strict=True), start=1):  # id 0 leads
            if sign not in _PAUSES:
                spans[word] = (spans.get(word, (times[place],))[0], float(times[place + 1]))
        # The generator only shapes the hiss of the consonants; a fixed one makes a sentence sound the same each time.
        samples = dsp.synth(*spectrum, np.random.default_rng(0))
        words = (
            Word(texts[word], float(start) - _START_BIAS_S, end - _END_BIAS_S) for word, (start, end) in spans.items()
        )
        return Piece(samples, tuple(words))


def _parts(runs: list[_Run]) -> list[list[_Run]]:
    """Cut a long sentence into parts that the model takes, after a clause where there is one."""
    parts: list[list[_Run]] = [[]]
    room = _MAX_PHONEMES
    for run in runs:
        if len(run.phonemes) + 1 > room and parts[-1]:
            ends = [index for index, kept in enumerate(parts[-1], start=1) if kept.phonemes.endswith(_CLAUSE_ENDS)]
            cut = ends[-1] if ends else len(parts[-1])
            parts[-1], rest = parts[-1][:cut], parts[-1][cut:]
            parts.append(rest)
            room = _MAX_PHONEMES - sum(len(kept.phonemes) + 1 for kept in rest)
        parts[-1].append(run)
        room -= len(run.phonemes) + 1
    return [part for part in parts if part]
