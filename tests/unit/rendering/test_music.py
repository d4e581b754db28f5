from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from actors.rendering.sound import own_bed
from actors.rendering.sound.loudness import Meter
from actors.rendering.sound.moods import MOODS
from actors.rendering.sound.music import Bed
from actors.rendering.sound.own_bed import OwnBed
from actors.rendering.sound.samples import BLOCK, RATE_HZ, Samples
from actors.rendering.sound.soundtrack import music_of
from schema.errors import PermanentError
from schema.settings.video import Video
from tests.unit.rendering.orders import order, write_wav


def whole(bed: Bed | OwnBed) -> Samples:
    return np.concatenate(list(bed.blocks()), axis=1)


@pytest.mark.parametrize("name", MOODS)
def test_every_mood_is_about_as_loud_as_it_says_and_neither_clicks_nor_clips(name: str) -> None:
    bed = Bed(name, 3, 12.0, 10.8)
    meter = Meter(peaks_above=np.inf)
    for block in bed.blocks():
        meter.hear(block)
    found = meter.loudness()
    assert found.lufs == pytest.approx(bed.lufs, abs=1.5)
    assert found.peak_dbtp < -4
    # A click is a corner in the wave: sharper than anything the instruments do.
    assert np.abs(np.diff(whole(bed), n=2)).max() < 0.08


def test_the_same_seed_plays_the_same_and_another_one_something_else() -> None:
    first, again, other = (whole(Bed("playful", seed, 6.0, 4.8)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("duration_s", [0.4, 2.0, 7.77])
def test_a_bed_is_as_long_as_the_film_and_ends_in_silence(duration_s: float) -> None:
    played = whole(Bed("hopeful", 1, duration_s, duration_s - 1.2))
    assert played.shape == (2, round(duration_s * RATE_HZ))
    assert np.abs(played[:, -48:]).max() < 1e-3
    assert np.abs(played).max() > 0.01


def test_it_is_wide_and_never_the_same_bar_twice() -> None:
    played = whole(Bed("calm", 1, 20.0, 18.8))
    assert 0 < np.corrcoef(played).min() < 0.8
    bar = round(19 / 6 * RATE_HZ)
    bars = [played[0, start : start + bar] for start in range(0, played.shape[1] - bar, bar)]
    for one, another in itertools.combinations(bars, 2):
        assert np.corrcoef(one, another)[0, 1] < 0.9


def hum(path: Path, seconds: float, level: float = 0.1) -> str:
    time_s = np.arange(round(24_000 * seconds)) / 24_000
    return write_wav(path, level * np.sin(2 * np.pi * 220 * time_s).astype(np.float32))


def test_a_short_file_is_repeated_without_a_gap_or_a_step(tmp_path: Path) -> None:
    bed = OwnBed(hum(tmp_path / "hum.wav", 3.05), 13.0)
    played = whole(bed)
    assert played.shape == (2, 13 * RATE_HZ)
    assert np.abs(np.diff(played)).max() < 0.01
    level = np.sqrt((played[0, : 10 * RATE_HZ] ** 2).reshape(-1, 4800).mean(axis=1))
    assert level.min() > 0.02
    assert np.abs(played[:, -48:]).max() < 1e-3
    assert all(block.shape[1] == BLOCK for block in list(bed.blocks())[:-1])


def test_a_long_file_is_not_read_beyond_the_film(tmp_path: Path) -> None:
    played = whole(OwnBed(hum(tmp_path / "hum.wav", 9.0), 4.0))
    assert played.shape == (2, 4 * RATE_HZ)


def test_music_that_cannot_be_used_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "page.mp3").write_text("<html>")
    with pytest.raises(PermanentError, match=r"the music page\.mp3 cannot be read"):
        OwnBed(str(tmp_path / "page.mp3"), 5.0)
    with pytest.raises(PermanentError, match=r"the music gone\.mp3 cannot be read"):
        OwnBed(str(tmp_path / "gone.mp3"), 5.0)
    with pytest.raises(PermanentError, match=r"the music still\.wav is silent"):
        OwnBed(hum(tmp_path / "still.wav", 1.0, 0.0), 5.0)
    with pytest.raises(PermanentError, match=r"the music blip\.wav lasts 0\.20 s"):
        OwnBed(hum(tmp_path / "blip.wav", 0.2), 5.0)
    with pytest.raises(PermanentError, match="has no music in it"):
        own_bed.chosen("", str(Path(__file__).parent), 0)
    with pytest.raises(PermanentError, match="cannot be read: No such file"):
        own_bed.chosen("", str(tmp_path / "none"), 0)


def test_the_style_names_the_mood_and_the_settings_outweigh_it(tmp_path: Path) -> None:
    asked = order(tmp_path)

    def with_settings(**changes: str) -> str:
        return music_of(replace(asked, video=replace(Video(), **changes)))

    for name in ("a.mp3", "b.flac", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert with_settings() == "made:calm"
    assert with_settings(music="off", music_file="x.mp3") == ""
    assert with_settings(music_file="x.mp3", music_dir=str(tmp_path)) == "file:x.mp3"
    assert with_settings(music_dir=str(tmp_path)) in {f"file:{tmp_path / name}" for name in ("a.mp3", "b.flac")}
