from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actors.rendering.inspecting.senses import envelope
from actors.rendering.inspecting.sync import sync
from actors.rendering.sound.mastering import mastered, placed
from actors.rendering.sound.samples import RATE_HZ, Samples, measure, read_voice
from schema.errors import PermanentError
from tests.unit.rendering.orders import VOICE_HZ, spoken, write_wav


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return read_voice(write_wav(tmp_path_factory.mktemp("voice") / "voice.wav", spoken()[1]))


def test_the_voice_is_read_at_48_khz_and_as_long_as_it_was(voice: Samples) -> None:
    assert voice.shape == (1, spoken()[1].size * RATE_HZ // VOICE_HZ)


def test_a_file_that_is_no_sound_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "voice.wav").write_text("hello")
    with pytest.raises(PermanentError, match=r"voice voice\.wav cannot be read"):
        read_voice(str(tmp_path / "voice.wav"))


def test_a_voice_of_no_length_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"voice voice\.wav"):
        read_voice(write_wav(tmp_path / "voice.wav", np.zeros(0)))


def test_a_silent_voice_is_refused() -> None:
    with pytest.raises(PermanentError, match="the voice is silent"):
        mastered(np.zeros((1, RATE_HZ), np.float32), -14.0, -1.0)


@pytest.mark.parametrize("gain_db", [-25.0, 0.0, 12.0])
def test_any_voice_comes_out_at_the_wanted_loudness_below_the_peak(voice: Samples, gain_db: float) -> None:
    loud = mastered(np.clip(voice * np.float32(10 ** (gain_db / 20)), -1, 1), -14.0, -1.0)
    found = measure(placed(loud, 0.6, voice.shape[1] / RATE_HZ + 1.8))
    assert found.lufs == pytest.approx(-14.0, abs=0.3)
    assert found.peak_dbtp <= -1.0
    assert loud.shape == voice.shape


def test_mastering_does_not_move_the_voice(voice: Samples) -> None:
    loud = mastered(voice, -14.0, -1.0)
    assert sync(envelope(loud[0], RATE_HZ), envelope(voice[0], RATE_HZ), 0.0).worst_ms == 0


@pytest.mark.parametrize("late_ms", [-180, -40, 0, 41, 200])
def test_a_shifted_voice_is_found_to_the_millisecond(voice: Samples, late_ms: int) -> None:
    film = placed(voice, 0.6 + late_ms / 1000, voice.shape[1] / RATE_HZ + 1.8)
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
