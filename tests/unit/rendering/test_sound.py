from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from actors.rendering.inspecting.senses import envelope
from actors.rendering.inspecting.sync import sync
from actors.rendering.sound.samples import RATE_HZ, Samples, read_voice
from actors.rendering.sound.voice import listen
from schema.errors import PermanentError
from tests.unit.rendering.orders import VOICE_HZ, spoken, write_wav


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return read_voice(write_wav(tmp_path_factory.mktemp("voice") / "voice.wav", spoken()[1]))


def placed(voice: Samples, start_s: float) -> Samples:
    """The voice in a film that is 1.8 s longer, as the inspection hears it."""
    film = np.zeros((1, voice.shape[1] + round(1.8 * RATE_HZ)), np.float32)
    start = round(start_s * RATE_HZ)
    film[:, start : start + voice.shape[1]] = voice
    return film


def test_the_voice_is_read_at_48_khz_and_as_long_as_it_was(voice: Samples) -> None:
    assert voice.shape == (1, spoken()[1].size * RATE_HZ // VOICE_HZ)


def written(path: Path, samples: Samples, layout: str = "mono", rate_hz: int = RATE_HZ, *, mp3: bool = False) -> str:
    """A file of sound, WAV unless it is to be MP3, whatever its name says."""
    codec, kind = ("libmp3lame", "mp3") if mp3 else ("pcm_f32le", "wav")
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout=layout)
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(stream.format, layout, rate_hz, frame_size=stream.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = rate_hz
        for part in (*resampler.resample(frame), *resampler.resample(None), None):
            container.mux(stream.encode(part))
    return str(path)


def said(channels: int = 1, rate_hz: int = RATE_HZ) -> Samples:
    """A second of something like a vowel."""
    time_s = np.arange(rate_hz) / rate_hz
    vowel = 0.1 * np.sin(2 * np.pi * 150 * time_s) * (1 + np.sin(2 * np.pi * 3 * time_s))
    return np.tile(vowel.astype(np.float32), (channels, 1))


def test_a_telephone_voice_and_one_in_six_channels_are_voices_too(tmp_path: Path) -> None:
    for heard in (
        listen(written(tmp_path / "8k.wav", said(rate_hz=8000), "mono", 8000)),
        listen(written(tmp_path / "5.1.wav", said(6), "5.1")),
    ):
        assert heard.duration_s == pytest.approx(1.0, abs=0.01)
        assert heard.lufs > -40


def test_a_compressed_voice_under_a_wrong_name_is_read_for_what_it_is(tmp_path: Path) -> None:
    assert listen(written(tmp_path / "voice.wav", said(), mp3=True)).duration_s > 0.9


def nothing(path: Path) -> str:
    return write_wav(path, np.zeros(0))


def silence(path: Path) -> str:
    return write_wav(path, np.zeros(VOICE_HZ))


def no_number(path: Path) -> str:
    samples = said()
    samples[0, 1000] = np.nan
    return written(path, samples)


def torn_header(path: Path) -> str:
    whole = Path(written(path, said(), mp3=True)).read_bytes()
    path.write_bytes(b"\xff\xfb\x90\x64" + bytes(400) + whole[: len(whole) // 8][::-1])
    return str(path)


def text(path: Path) -> str:
    path.write_text("hello")
    return str(path)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (nothing, "holds no sound"),
        (silence, "is silent"),
        (no_number, "holds no sound: numbers that are none"),
        (torn_header, "cannot be read"),
        (text, "cannot be read"),
    ],
)
def test_what_is_no_voice_is_refused_by_name(tmp_path: Path, bad: Callable[[Path], str], why: str) -> None:
    with pytest.raises(PermanentError, match=rf"the voice voice\.wav {why}"):
        listen(bad(tmp_path / "voice.wav"))


@pytest.mark.parametrize("late_ms", [-180, -40, 0, 41, 200])
def test_a_shifted_voice_is_found_to_the_millisecond(voice: Samples, late_ms: int) -> None:
    film = placed(voice, 0.6 + late_ms / 1000)
    found = sync(envelope(film[0], RATE_HZ), envelope(voice[0], RATE_HZ), 0.6)
    assert found.worst_ms == late_ms
    assert found.found == found.pieces == 1


def test_a_drift_shows_in_the_piece_where_it_is_worst(voice: Samples) -> None:
    planned = np.tile(voice, 6)
    film = np.concatenate([planned[:, : planned.shape[1] // 2], np.zeros((1, 4800), np.float32)], axis=1)
    film = np.concatenate([film, planned[:, planned.shape[1] // 2 :]], axis=1)
    found = sync(envelope(film[0], RATE_HZ), envelope(planned[0], RATE_HZ), 0.0)
    assert found.worst_ms == 100
    assert found.pieces > 2


def test_another_voice_is_not_found(voice: Samples) -> None:
    stranger = envelope(voice[0][::-1].copy(), RATE_HZ)
    assert sync(stranger, envelope(voice[0], RATE_HZ), 0.0).found == 0


def test_a_missing_voice_is_not_found(voice: Samples) -> None:
    assert sync(np.zeros(100, np.float32), envelope(voice[0], RATE_HZ), 0.0).found == 0
