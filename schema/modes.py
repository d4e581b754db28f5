"""Modes as bundles: what changes while the factory saves money, or is in a hurry. Data only; who acts reads it.

Several may be in force for one video at once (all videos' and its own): economy outweighs speed, as a halt outweighs a
pause. Media and audio run side by side in every mode: that is the flow itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

Mode = Literal["normal", "economy", "speed"]
MODES: tuple[Mode, ...] = get_args(Mode)


class Bundle(msgspec.Struct, frozen=True):
    """What one mode means; each default is that of the normal mode."""

    mode: Mode
    #: Which of its two configured models a provider uses.
    models: Literal["standard", "economy"] = "standard"
    #: Short side of the frame and bitrate of the sound; None: as the settings have them.
    video_quality: Literal["720p"] | None = None
    audio_bitrate: Literal["128k"] | None = None
    #: Preset of NVENC, the fastest; None: as the settings have it.
    nvenc_preset: Literal["p1"] | None = None
    #: Whether no more than `economy_max_concurrent` videos are in hand, in place of `max_concurrent`.
    few_at_once: bool = False
    #: Whether stages have their shorter limits.
    short_limits: bool = False
    #: Voices that come first in their chain where it has them, the fastest first.
    voices_first: tuple[str, ...] = ()
    #: Whether quality looks and listens (black, frozen, silence, loudness); decoding, duration and sync always count.
    perceptual_check: bool = True


_BUNDLES: dict[Mode, Bundle] = {
    "normal": Bundle("normal"),
    "economy": Bundle(
        "economy",
        models="economy",
        video_quality="720p",
        audio_bitrate="128k",
        few_at_once=True,
    ),
    "speed": Bundle("speed", nvenc_preset="p1", short_limits=True, voices_first=("google",), perceptual_check=False),
}


def in_force(modes: Iterable[str]) -> Bundle:
    """The bundle that holds where these modes are asked for at once."""
    asked = set(modes)
    mode: Mode = "economy" if "economy" in asked else "speed" if "speed" in asked else "normal"
    return _BUNDLES[mode]
