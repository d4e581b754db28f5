"""How a film looks and moves: sizes, colours, fonts, transitions, the mood of its music. Data, from styles/NAME.toml.

A style's file says what is its own; places and sizes that it does not name come from the shape of the frame, below, so
that safe areas are kept. Lengths are fractions, so a style serves every resolution: text by the frame's short side,
places by the side they lie along.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from actors.rendering.planning.plan import Transition
from schema.documents import Aspect
from schema.errors import PermanentError

Colour = tuple[int, int, int]
Align = Literal["left", "centre"]
#: Where and on what a title stands: at the left in a shadow that falls off to the right; low down on a rising shadow;
#: in the middle of a darkened picture; on a sheet of the scrim's colour; each line on a block of its own.
TitleLayout = Literal["side", "lower", "centre", "panel", "blocks"]
#: A scene's heading: in a box beside a bar, on a shadow above a fine line, or on a block of the accent.
ChapterLayout = Literal["tag", "rule", "block"]

_FOLDER: Final = Path(__file__).with_suffix("")


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """One look in one shape of frame.

    Platforms cover the bottom of upright films with their own controls: captions stay above that.
    """

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
    #: The size of credits and sources, by the frame's short side.
    credit_size: float
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
    title_layout: TitleLayout = "side"
    chapter_layout: ChapterLayout = "tag"
    #: Titles and headings in capitals; their weight (fonts with one weight have that); and the distance of a title's
    #: baselines by the size of its letters.
    title_capitals: bool = False
    title_weight: int = 800
    title_leading: float = 1.08
    #: Families of drawing/fonts.py: for titles, and for everything that is read while it is spoken.
    display_font: str = "montserrat"
    text_font: str = "montserrat"
    #: Captions stand on a box in the scrim's colour, or without one: outlined in that colour, over a soft shadow.
    caption_look: Literal["box", "outline"] = "box"
    caption_capitals: bool = False
    #: How large the spoken word is at the first frame that lights it, before it settles at 1; 1 does not move.
    caption_pop: float = 1.0
    #: What may lie between two shots, taken in turn and never twice running where there are several; and how long.
    transitions: tuple[Transition, ...] = ("fade",)
    transition_s: float = 0.5
    #: The longest that one picture stays with one move, seconds.
    shot_max_s: float = 8.0
    #: The mood of the music under the voice (sound/music.py); empty for none.
    music: str = "calm"


#: Places and sizes by the shape of the frame.
_LAYOUTS: Final[dict[Aspect, dict[str, Any]]] = {
    "16:9": {
        "caption_size": 0.056,
        "title_size": 0.098,
        "chapter_size": 0.034,
        "credit_size": 0.024,
        "caption_chars": 38,
        "caption_words": 7,
        "caption_bottom": 0.90,
        "caption_width": 0.84,
        "title_width": 0.74,
        "title_lines": 3,
        "title_middle": 0.42,
        "margin": 0.065,
        "margin_top": 0.075,
    },
    "9:16": {
        "caption_size": 0.068,
        "title_size": 0.094,
        "chapter_size": 0.042,
        "credit_size": 0.030,
        "caption_chars": 20,
        "caption_words": 4,
        "caption_bottom": 0.78,
        "caption_width": 0.82,
        "title_width": 0.80,
        "title_lines": 5,
        "title_middle": 0.34,
        "margin": 0.075,
        "margin_top": 0.10,
    },
}


def names() -> tuple[str, ...]:
    """Every style there is."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@cache
def named(name: str, aspect: Aspect) -> Style:
    """The style of this name for this shape of frame; a table `["16:9"]` in its file holds for that shape alone.

    Raises PermanentError, naming those there are, when there is none of this name.
    """
    if name not in names():
        raise PermanentError(f"there is no style {name!r}", hint=f"expected one of {', '.join(names())}")
    told = tomllib.loads((_FOLDER / f"{name}.toml").read_text())
    own = {shape: told.pop(shape, {}) for shape in _LAYOUTS}
    return msgspec.convert(_LAYOUTS[aspect] | told | own[aspect], Style)
