"""How a film looks: sizes, colours and safe areas, as data, one style for each shape of frame.

Lengths are fractions, so a style serves every resolution: text by the frame's short side, places by the side they
lie along.
"""

from __future__ import annotations

import msgspec

from schema.documents import Aspect

Colour = tuple[int, int, int]


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """One look. Platforms cover the bottom of upright films with their own controls: captions stay above that."""

    #: Text sizes, by the frame's short side.
    caption_size: float
    title_size: float
    chapter_size: float
    #: A caption holds at most this much, on one line.
    caption_chars: int
    caption_words: int
    #: Where the caption's box ends, by the frame's height; all below belongs to the player.
    caption_bottom: float
    #: Widest text, by the frame's width.
    caption_width: float
    title_width: float
    title_lines: int
    #: The middle of the title, by the frame's height.
    title_middle: float
    #: Kept free at the left and right, by the frame's width; and above, by its height.
    margin: float
    margin_top: float
    text: Colour = (255, 255, 255)
    #: The word being spoken, and the bar beside headings.
    accent: Colour = (255, 209, 64)
    scrim: Colour = (9, 11, 16)
    #: How much of the picture the box behind a text hides, 0 to 1.
    scrim_alpha: float = 0.66
    title_scrim_alpha: float = 0.72


WIDE = Style(
    caption_size=0.056,
    title_size=0.098,
    chapter_size=0.034,
    caption_chars=38,
    caption_words=7,
    caption_bottom=0.90,
    caption_width=0.84,
    title_width=0.74,
    title_lines=3,
    title_middle=0.42,
    margin=0.065,
    margin_top=0.075,
)

UPRIGHT = Style(
    caption_size=0.068,
    title_size=0.100,
    chapter_size=0.042,
    caption_chars=20,
    caption_words=4,
    caption_bottom=0.78,
    caption_width=0.82,
    title_width=0.80,
    title_lines=5,
    title_middle=0.34,
    margin=0.075,
    margin_top=0.10,
)

STYLES: dict[Aspect, Style] = {"16:9": WIDE, "9:16": UPRIGHT}

_SHORT_SIDE = {"720p": 720, "1080p": 1080}


def frame_size(aspect: Aspect, quality: str) -> tuple[int, int]:
    """Width and height of a frame in pixels."""
    short = _SHORT_SIDE[quality]
    long = short * 16 // 9
    return (long, short) if aspect == "16:9" else (short, long)
