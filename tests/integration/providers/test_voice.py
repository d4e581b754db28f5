"""The real voice, and its word times against an independent ear: pocketsphinx, which aligns the text to the sound."""

import itertools
import re
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pocketsphinx import Decoder

from actors.providers.audio.hibari import Voice, _parts
from actors.providers.ports import Spoken
from actors.providers.script.extractive import write
from actors.providers.script.samples import sample_for
from schema.documents import Brief, Scene, Script, SpokenScene
from schema.errors import ConfigurationError, PermanentError

#: One test process loads the voice for all of them.
pytestmark = pytest.mark.xdist_group("voice")

ALIGNER_HZ = 16_000
HARD = (
    "Dr. Smith met Mr. Jones at 5:30 pm.",
    "It cost $5 million, e.g. 50% of the total & more.",
    "In 2019, 1,250 people paid $9.99 each \u2014 really.",
    "See https://www.example.com/maps for more.",
    "The caf\u00e9 in \u0141\u00f3d\u017a was 3 km\u00b2 wide, at 20 \u00b0C on 3 March 2024.",
    "COVID-19 and NASA's well-known mRNA work, from 10\u201320; 24/7.",
)


@pytest.fixture(scope="session")
def voice() -> Voice:
    return Voice(None)


def _never() -> None:
    """Never stop."""


def _speak(voice: Voice, out: Path, *narrations: str) -> Spoken:
    return voice.speak(Script("t", tuple(map(Scene, narrations))), out, checkpoint=_never)


def _samples(path: Path) -> NDArray[np.float64]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767


def test_captions_are_the_text_as_written_and_words_never_overlap(voice: Voice, tmp_path: Path) -> None:
    spoken = _speak(voice, tmp_path / "voice.wav", *HARD)
    for text, scene in zip(HARD, spoken.scenes, strict=True):
        assert " ".join(word.text for word in scene.words) == text
    words = [word for scene in spoken.scenes for word in scene.words]
    assert {"2019,", "$9.99", "50%", "e.g.", "&", "5:30", "24/7."} <= {word.text for word in words}
    assert all(word.end_s - word.start_s > 0.02 for word in words)
    assert all(one.end_s <= other.start_s for one, other in itertools.pairwise(words))


def test_the_sound_is_one_level_and_as_long_as_it_says(voice: Voice, tmp_path: Path) -> None:
    spoken = _speak(voice, tmp_path / "voice.wav", *HARD[:2])
    samples = _samples(tmp_path / "voice.wav")
    assert 20 * np.log10(np.abs(samples).max()) == pytest.approx(-3, abs=0.05)
    assert spoken.duration_s == len(samples) / 24_000
    assert spoken.scenes[0].start_s == 0
    assert spoken.scenes[-1].end_s == pytest.approx(spoken.duration_s)
    assert spoken.scenes[0].end_s == spoken.scenes[1].start_s


def test_the_same_text_is_the_same_sound(voice: Voice, tmp_path: Path) -> None:
    for name in ("one.wav", "two.wav"):
        _speak(voice, tmp_path / name, HARD[0])
    assert (tmp_path / "one.wav").read_bytes() == (tmp_path / "two.wav").read_bytes()


def _heard(scene: SpokenScene, samples: NDArray[np.float64]) -> list[float] | None:
    """Ask the aligner when each word of a scene starts; None when it does not know a word."""
    texts = [re.sub(r"[^a-z']", "", word.text.lower()) for word in scene.words]
    decoder = Decoder(lm=None, samprate=ALIGNER_HZ, loglevel="FATAL")
    if any(decoder.lookup_word(text) is None for text in texts):
        return None
    part = samples[round(scene.start_s * 24_000) : round(scene.end_s * 24_000)]
    length = len(part) * ALIGNER_HZ // 24_000
    lower = np.fft.irfft(np.fft.rfft(part)[: length // 2 + 1], length) * length / len(part)
    decoder.set_align_text(" ".join(texts))
    decoder.start_utt()
    decoder.process_raw((np.clip(lower, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    starts = [segment.start_frame / 100 for segment in decoder.seg() if segment.word[0] not in "<("]
    return [scene.start_s + start for start in starts] if len(starts) == len(texts) else None


def test_words_start_when_an_independent_ear_hears_them(voice: Voice, tmp_path: Path) -> None:
    sample = sample_for("Why the sky is blue")
    assert sample is not None
    narrations = sample.notes.split("\n\n")[:6]
    spoken = _speak(voice, tmp_path / "voice.wav", *narrations)
    samples = _samples(tmp_path / "voice.wav")
    late: list[float] = []
    for scene in spoken.scenes:
        heard = _heard(scene, samples)
        if heard is not None:
            late += [word.start_s - start for word, start in zip(scene.words, heard, strict=True)]
    assert len(late) > 100
    assert np.median(np.abs(late)) < 0.04
    assert np.percentile(np.abs(late), 90) < 0.08
    assert abs(np.median(late)) < 0.03


def test_a_film_has_the_length_that_was_asked_for(voice: Voice, tmp_path: Path) -> None:
    sample = sample_for("How a carpenter solved the longitude problem")
    assert sample is not None
    for length_s in (30, 60, 90):
        script = write(Brief(sample.topic, notes=sample.notes, length_s=length_s))
        spoken = voice.speak(script, tmp_path / "voice.wav", checkpoint=_never)
        assert length_s * 0.85 < spoken.duration_s + 2 < length_s * 1.1


def test_a_stop_is_heard_before_each_sentence(voice: Voice, tmp_path: Path) -> None:
    calls = itertools.count()

    def stop_at_second() -> None:
        if next(calls) == 1:
            raise InterruptedError

    script = Script("t", (Scene("One sentence here. And a second one. And a third."),))
    with pytest.raises(InterruptedError):
        voice.speak(script, tmp_path / "voice.wav", checkpoint=stop_at_second)
    assert not (tmp_path / "voice.wav").exists()


@pytest.mark.parametrize("text", ["\u732b\u732b\u732b", "...", ""])
def test_what_has_no_sounds_is_refused_by_name(voice: Voice, tmp_path: Path, text: str) -> None:
    with pytest.raises(PermanentError, match=re.escape(repr(text))) as caught:
        _speak(voice, tmp_path / "voice.wav", text)
    assert caught.value.hint


def test_a_very_long_sentence_is_said_in_parts(voice: Voice, tmp_path: Path) -> None:
    text = "The list has apples and pears, " * 40 + "and nothing else " * 60 + "at all."
    spoken = _speak(voice, tmp_path / "voice.wav", text)
    words = spoken.scenes[0].words
    parts = _parts(voice._runs(text.split()))
    assert len(parts) > 3
    assert all(sum(len(run.phonemes) + 1 for run in part) <= 401 for part in parts)
    assert parts[0][-1].phonemes.endswith(",")
    assert " ".join(word.text for word in words) == text
    assert all(one.end_s <= other.start_s for one, other in itertools.pairwise(words))


def test_the_lexicon_overrules_the_voice(voice: Voice, tmp_path: Path) -> None:
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("hearts /b\u02c8AbAbAbAbAbA/\n", encoding="utf-8")
    text = "Three hearts beat."
    usual = _speak(voice, tmp_path / "usual.wav", text)
    ruled = _speak(Voice(lexicon), tmp_path / "ruled.wav", text)
    assert ruled.duration_s > usual.duration_s + 0.2
    lexicon.write_text("hearts b\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="line 1"):
        Voice(lexicon)
