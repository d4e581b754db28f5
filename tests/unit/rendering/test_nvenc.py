"""What the wheel's NVENC knows; it is asked without a card, so what it does with it cannot be seen here."""

from __future__ import annotations

import av
import pytest

from actors.rendering.encoding import nvenc
from schema.modes import in_force
from schema.settings.video import Video, as_in


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("preset", ["p1", "p4", "p7"])
def test_every_option_and_every_word_of_it_is_known_to_the_wheel(preset: str, *, plain: bool) -> None:
    told = nvenc.codec(Video(nvenc_preset=preset), plain=plain)  # type: ignore[arg-type] # a word of the list above
    supported = av.CodecContext.create(told.name, "w").supported_options
    known = {option.name: option for option in (*supported.generic, *supported.private)}
    for name, value in told.options.items():
        assert name in known, name
        words = {choice.name for choice in known[name].choices}
        assert not words or value in words, (name, value)


def test_it_is_told_the_runbooks_figures() -> None:
    told = nvenc.codec(Video()).options
    assert {name: told[name] for name in ("rc", "cq", "b", "maxrate")} == {
        "rc": "vbr",
        "cq": "23",
        "b": "4M",
        "maxrate": "6M",
    }


@pytest.mark.parametrize(
    ("asked", "mode", "preset"),
    [("p4", "normal", "p4"), ("p7", "normal", "p7"), ("p7", "economy", "p7"), ("p7", "speed", "p1")],
)
def test_the_preset_is_p4_p7_on_request_and_p1_in_speed_mode(asked: str, mode: str, preset: str) -> None:
    assert Video().nvenc_preset == "p4"
    video = as_in(Video(nvenc_preset=asked), in_force([mode]))  # type: ignore[arg-type] # likewise
    assert nvenc.codec(video).options["preset"] == preset


def test_the_plain_way_asks_for_nothing_that_older_cards_refuse() -> None:
    plain, full = nvenc.codec(Video(), plain=True).options, nvenc.codec(Video()).options
    assert plain["bf"] == "0"
    assert set(full) - set(plain) == {"b_ref_mode", "rc-lookahead", "spatial-aq", "temporal-aq", "multipass"}


def test_frames_are_taken_where_they_are() -> None:
    assert nvenc.codec(Video()).pix_fmt == "cuda"
    assert "cuda" in {pixels.name for pixels in av.Codec(nvenc.NAME, "w").video_formats or ()}
