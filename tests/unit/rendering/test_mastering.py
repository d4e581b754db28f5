from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actors.rendering.inspecting.senses import envelope
from actors.rendering.inspecting.sync import sync
from actors.rendering.sound import mastering
from actors.rendering.sound.loudness import CHUNK, Meter
from actors.rendering.sound.mastering import limiter, mastered
from actors.rendering.sound.mixing import Mix, ducking, levelling, spread
from actors.rendering.sound.music import Bed
from actors.rendering.sound.samples import BLOCK, RATE_HZ, Samples, measure, read_voice
from actors.rendering.sound.track import Track, encoded
from actors.rendering.sound.voice import Voice, listen
from tests.unit.rendering.orders import VOICE_HZ, spoken, write_wav

START_S = 0.6


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_wav(tmp_path_factory.mktemp("voice") / "voice.wav", spoken()[1])


def mixed(voice: Voice, mood: str = "") -> Mix:
    duration_s = voice.duration_s + 1.8
    bed = Bed(mood, 1, duration_s, duration_s - 1.2) if mood else None
    return Mix(voice, bed, start_s=START_S, duration_s=duration_s, target_lufs=-14.0, music_lu=20.0)


def whole(track: Track) -> Samples:
    return np.concatenate(list(track.blocks()), axis=1)


def test_the_meter_agrees_with_ebur128(path: str) -> None:
    voice = read_voice(path)
    heard = np.concatenate([voice, voice * np.float32(0.7)])
    meter = Meter(peaks_above=0.0)
    for start in range(0, heard.shape[1], BLOCK):
        meter.hear(heard[:, start : start + BLOCK])
    found, wanted = meter.loudness(), measure(heard)
    assert found.lufs == pytest.approx(wanted.lufs, abs=0.06)
    assert found.peak_dbtp == pytest.approx(wanted.peak_dbtp, abs=0.05)


@pytest.mark.parametrize(
    ("gain_db", "mood", "bitrate"),
    [
        (-25.0, "tense", "128k"),
        pytest.param(0.0, "", "128k", marks=pytest.mark.slow),
        pytest.param(12.0, "calm", "192k", marks=pytest.mark.slow),
    ],
)
def test_any_voice_comes_out_of_aac_at_the_wanted_loudness_below_the_peak(
    tmp_path: Path, gain_db: float, mood: str, bitrate: str
) -> None:
    loud = np.clip(spoken()[1] * 10 ** (gain_db / 20), -1, 1)
    made = mastered(mixed(listen(write_wav(tmp_path / "voice.wav", loud)), mood), -14.0, -1.0, bitrate)
    found = measure(whole(made.track))
    assert found.lufs == pytest.approx(-14.0, abs=0.15)
    assert found.peak_dbtp <= -1.0
    assert made.passes <= 2


@pytest.mark.slow
def test_peaks_that_aac_made_too_high_are_taken_down_until_they_are_not(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The limiter leaves AAC no room at all, and so loud a film meets it at every word.
    monkeypatch.setitem(mastering._AAC_ROOM_DB, "128k", 0.0)
    loud = Mix(listen(path), None, start_s=0.6, duration_s=8.0, target_lufs=-9.0, music_lu=20.0)
    made = mastered(loud, -9.0, -1.0, "128k")
    assert 1 < made.passes <= 4
    found = measure(whole(made.track))
    assert found.peak_dbtp <= -1.0
    assert found.lufs == pytest.approx(-9.0, abs=0.15)


def test_neither_mastering_nor_music_moves_the_voice(path: str) -> None:
    made = mastered(mixed(listen(path), "hopeful"), -14.0, -1.0, "192k")
    film, voice = whole(made.track).mean(axis=0), read_voice(path)[0]
    found = sync(envelope(film, RATE_HZ), envelope(voice, RATE_HZ), START_S)
    assert found.worst_ms == 0
    assert found.found == found.pieces > 0


def test_a_track_begins_with_its_first_sample_and_keeps_its_packets() -> None:
    click = np.zeros((2, BLOCK), np.float32)
    click[:, 10_000] = 0.9
    track = encoded([click], "192k")
    assert int(np.abs(whole(track)[0]).argmax()) == 10_000
    packets = list(track.packets())
    assert [packet.pts for packet in packets] == list(range(-1024, BLOCK, 1024))


def test_the_limiter_is_down_before_a_peak_and_never_above_the_ceiling() -> None:
    dice = np.random.default_rng(0)
    samples = (dice.normal(0, 0.1, 64 * 4000) * np.where(dice.uniform(0, 1, 64 * 4000) < 1e-3, 15, 1)).astype(
        np.float32
    )
    gains = limiter(np.abs(samples).reshape(-1, CHUNK).max(axis=1), 3.0, -1.5)
    limited = samples * 10 ** (3 / 20) * spread(gains, samples.size, CHUNK)
    assert 20 * np.log10(np.abs(limited).max()) <= -1.5 + 1e-4
    assert np.abs(np.diff(gains)).max() < 0.5
    assert gains.max() == 1.0


def test_soft_and_loud_phrases_come_within_three_lu(tmp_path: Path) -> None:
    said = spoken()[1]
    parts = [said * gain for gain in (1.0, 0.25, 2.0, 0.5)]
    pause = np.zeros(VOICE_HZ // 2)
    voice = listen(write_wav(tmp_path / "voice.wav", np.concatenate([np.append(part, pause) for part in parts])))
    mix = np.concatenate(list(mixed(voice).blocks()), axis=1)
    step, first = said.size * 2 + RATE_HZ, round(START_S * RATE_HZ)
    levels = [measure(mix[:, first + n * step : first + n * step + said.size * 2]).lufs for n in range(4)]
    assert max(levels) - min(levels) < 3.6
    # Within a phrase nothing moves: there is one gain from pause to pause.
    gains = [gain for _, gain in levelling(voice)]
    assert max(gains) - min(gains) > 10


def test_the_bed_is_down_before_the_first_word_and_rises_in_pauses_only() -> None:
    points = ducking([(0.7, 3.0), (3.3, 5.0), (7.0, 9.0)], 11.0)
    times = np.array([0.0, 0.65, 2.0, 3.15, 4.9, 6.2, 6.95, 8.0, 10.5])
    levels = np.interp(times, [at for at, _ in points], [level for _, level in points])
    assert levels.tolist() == [9.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 9.0]


def test_speech_stays_fifteen_lu_above_the_music_while_it_is_spoken(path: str) -> None:
    voice = listen(path)
    alone, both = (np.concatenate(list(mixed(voice, mood).blocks()), axis=1) for mood in ("", "hopeful"))
    music = both - alone
    for begin, end in voice.phrases:
        spoken_at = slice(round((START_S + begin) * RATE_HZ), round((START_S + end) * RATE_HZ))
        if end - begin > 0.5:
            assert measure(alone[:, spoken_at]).lufs - measure(music[:, spoken_at]).lufs > 15
