"""Modes: data, and which of them holds."""

from __future__ import annotations

from typing import Literal

import pytest

from schema import flow
from schema.modes import MODES, in_force
from schema.settings.limits import Limits
from schema.settings.video import Video, as_in, frame_size


@pytest.mark.parametrize(
    ("asked", "mode"),
    [
        ([], "normal"),
        (["speed"], "speed"),
        (["economy"], "economy"),
        (["speed", "economy", "speed"], "economy"),
        (["from tomorrow"], "normal"),
    ],
)
def test_economy_outweighs_speed_and_nothing_is_normal(asked: list[str], mode: str) -> None:
    assert in_force(asked).mode == mode


def test_each_mode_has_a_bundle_of_its_own() -> None:
    assert [in_force([mode]).mode for mode in MODES] == list(MODES)


def test_economy_is_the_runbooks_bundle() -> None:
    economy = in_force(["economy"])
    assert economy.models == "economy"
    video = as_in(Video(), economy)
    assert (frame_size(video, "16:9"), video.audio_bitrate) == ((1280, 720), "128k")
    assert Limits().at_once(economy) == 3
    assert economy.perceptual_check


@pytest.mark.parametrize(
    ("quality", "wide"),
    [("720p", (1280, 720)), ("1080p", (1920, 1080)), ("1440p", (2560, 1440)), ("2160p", (3840, 2160))],
)
def test_a_film_of_any_size_has_two_shapes_and_is_never_larger_in_economy(
    quality: Literal["720p", "1080p", "1440p", "2160p"], wide: tuple[int, int]
) -> None:
    video = Video(video_quality=quality)
    assert (frame_size(video, "16:9"), frame_size(video, "9:16")) == (wide, wide[::-1])
    assert as_in(video, in_force(["economy"])).video_quality == "720p"


def test_economy_raises_no_limit_that_was_set_lower() -> None:
    assert Limits(max_concurrent=2).at_once(in_force(["economy"])) == 2


def test_speed_is_the_runbooks_bundle() -> None:
    speed = in_force(["speed"])
    assert [flow.limit_s(stage, length_s=1, speed=speed.short_limits) for stage in flow.STAGES] == [30, 60, 60, 180, 60]
    assert speed.voices_first == ("google",)
    assert not speed.perceptual_check
    assert as_in(Video(), speed) == Video(nvenc_preset="p1")
    assert Limits().at_once(speed) == 7


def test_normal_changes_nothing() -> None:
    normal = in_force([])
    assert as_in(Video(), normal) == Video()
    assert [flow.limit_s(stage, length_s=1, speed=normal.short_limits) for stage in flow.STAGES] == [
        *(60, 120, 120, 300, 120)
    ]


@pytest.mark.parametrize(
    ("stage", "redone"),
    [
        ("script", ["script", "media", "audio", "render", "quality"]),
        ("media", ["media", "render", "quality"]),
        ("audio", ["audio", "render", "quality"]),
        ("quality", ["quality"]),
    ],
)
def test_what_waits_for_a_stage_directly_or_not_is_known(stage: str, redone: list[str]) -> None:
    assert [other.name for other in flow.onward(flow.STAGE[stage])] == redone
