"""How far a caption's word lights up from where it is spoken, frame and all.

First on words whose beginnings are known (truth.py), timed as the audio stage times them: by the local voice's own
word, and by listening, as for bought voices that give no times. Then on running speech of the local voice, against an
independent forced alignment by pocketsphinx, whose own bias, as the known words show it, is taken out. What is judged
is the start in the plan: after rounding to a frame. Words that the aligner does not know, or cannot follow, are not
counted, and the row says how many.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from pocketsphinx import Decoder

from actors.providers.audio.alignment import by_listening
from actors.providers.audio.hibari import Voice
from actors.providers.script.samples import sample_for
from actors.rendering.order import FilmOrder
from actors.rendering.planning.timeline import plan
from schema.documents import ArtifactRef, Footage, Picture, Scene, Script, Speech, SpokenScene
from schema.settings.video import Video
from tests.bench.render import truth
from tests.bench.render.truth import Sound, Utterance
from tests.bench.table import Goal, Row, row

_ALIGNER_HZ: Final = 16_000
_MEDIAN_FLOOR, _MEDIAN, _P95 = Goal("<=", 40), Goal("<=", 25), Goal("<=", 90)
_TOPIC: Final = "Why the sky is blue"
_PARAGRAPHS: Final = 6


def captions() -> list[Row]:
    """All rows."""
    with TemporaryDirectory(prefix="ytempire-bench-") as folder:
        voice = Voice(None)
        said, rate_hz = truth.singly(voice, Path(folder))
        known = list(truth.utterances(said, rate_hz))
        by_voice = [late for one in known for late in _late_s(one.by_the_voice(), one.starts_s, one.duration_s)]
        by_ear, unheard = _listened(known)
        bias_s = _bias_s(known)
        running, passed_over = _running(voice, Path(folder), bias_s)
    return [
        *judged("known words, by the local voice", by_voice),
        *judged("known words, by listening", by_ear, f"{unheard} words in utterances that were only estimated"),
        *judged(
            "running speech of the local voice, by forced alignment",
            running,
            f"the aligner's bias of {bias_s * 1000:+.0f} ms is taken out; {passed_over} words passed over",
        ),
    ]


def judged(name: str, late_s: Sequence[float], note: str = "") -> list[Row]:
    """Median and 95th percentile of how far off they are; the bias is in the note."""
    title = f"caption start, {name}"
    if not late_s:
        return [row(f"{title}, median", None, "ms", _MEDIAN, note=f"no word was measured; {note}")]
    off_ms = np.abs(np.asarray(late_s)) * 1000
    middle, p95 = float(np.median(off_ms)), float(np.percentile(off_ms, 95))
    bias = f"{len(late_s)} words, {float(np.median(late_s)) * 1000:+.0f} ms late in the median"
    return [
        row(f"{title}, median, floor", middle, "ms", _MEDIAN_FLOOR, note="; ".join(filter(None, (bias, note)))),
        row(f"{title}, median, goal", middle, "ms", _MEDIAN),
        row(f"{title}, p95", p95, "ms", _P95),
    ]


def _late_s(scene: SpokenScene, starts_s: Sequence[float], voice_s: float) -> list[float]:
    """How much later than `starts_s`, seconds of the voice, the plan of a film of one scene lights its words."""
    nowhere = ArtifactRef("none", 0, "")
    order = FilmOrder(
        script=Script("", (Scene(" ".join(word.text for word in scene.words)),)),
        footage=Footage((Picture(0, "still", nowhere, 1920, 1080),)),
        speech=Speech(nowhere, 0, voice_s, (scene,)),
        pictures=("none",),
        voice="none",
        aspect="16:9",
        video=Video(),
        out="none",
        plan_out="none",
        seed=1,
    )
    made = plan(order, voice_s)
    lit_s = [start / made.fps - made.voice_start_s for caption in made.captions for start in caption.starts]
    return [lit - start for lit, start in zip(lit_s, starts_s, strict=True)]


def _listened(known: Sequence[Utterance]) -> tuple[list[float], int]:
    """As the audio stage does for a voice without times; and how many words it could only estimate."""
    late_s: list[float] = []
    estimated = 0
    for one in known:
        samples = (np.clip(one.sound, -1, 1) * 32767).astype(np.int16)
        words, how = by_listening(one.text, samples, one.sample_rate_hz, "en")
        if how == "estimated":
            estimated += len(words)
        else:
            late_s += _late_s(SpokenScene(0.0, one.duration_s, words), one.starts_s, one.duration_s)
    return late_s, estimated


def _bias_s(known: Sequence[Utterance]) -> float:
    """How much later than the truth the independent aligner hears words, in the median."""
    late = [
        heard - start
        for one in known
        for heard, start in zip(_heard_s(one.sound, one.sample_rate_hz, one.text.split()), one.starts_s, strict=False)
    ]
    return float(np.median(late)) if late else 0.0


def _running(voice: Voice, folder: Path, bias_s: float) -> tuple[list[float], int]:
    """The local voice reading an article, a film a paragraph; and how many words the aligner could not be asked of."""
    sample = sample_for(_TOPIC)
    assert sample is not None
    late_s: list[float] = []
    passed_over = 0
    for text in sample.notes.split("\n\n")[:_PARAGRAPHS]:
        spoken = voice.speak(Script("", (Scene(text),)), folder / "voice.wav", checkpoint=lambda: None)
        sound, rate_hz = truth.read(folder / "voice.wav")
        [scene] = spoken.scenes
        heard_s = _heard_s(sound, rate_hz, [word.text for word in scene.words])
        if heard_s:
            late_s += _late_s(scene, [heard - bias_s for heard in heard_s], spoken.duration_s)
        else:
            passed_over += len(scene.words)
    return late_s, passed_over


def _heard_s(sound: Sound, sample_rate_hz: int, words: Sequence[str]) -> list[float]:
    """When the aligner hears each word begin; empty where it knows one of them not, or cannot follow."""
    decoder = Decoder(lm=None, samprate=_ALIGNER_HZ, loglevel="FATAL")
    texts = [re.sub(r"[^a-z']", "", word.lower()) for word in words]
    if not all(text and decoder.lookup_word(text) is not None for text in texts):
        return []
    length = len(sound) * _ALIGNER_HZ // sample_rate_hz
    slower = np.fft.irfft(np.fft.rfft(sound)[: length // 2 + 1], length) * length / len(sound)
    decoder.set_align_text(" ".join(texts))
    decoder.start_utt()
    decoder.process_raw((np.clip(slower, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    starts = [segment.start_frame / 100 for segment in decoder.seg() or () if segment.word[0] not in "<(["]
    return starts if len(starts) == len(texts) else []
