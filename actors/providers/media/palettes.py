"""The colors of generated pictures: a theme for a film, and in it the lights of a day, from morning to night.

All pictures of a film take their colors from one theme, and time passes as the film goes on.
"""

from __future__ import annotations

import re
from collections import Counter

import msgspec

#: Red, green, blue, each 0 to 255.
Color = tuple[int, int, int]


class Light(msgspec.Struct, frozen=True):
    """A time of day: the sky from its top to the horizon, sun or moon, and the land from far to near."""

    sky: tuple[Color, ...]
    sun: Color
    far: Color
    near: Color
    night: bool = False


def _color(code: str) -> Color:
    return (int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16))


def _light(sky: str, sun: str, far: str, near: str, *, night: bool = False) -> Light:
    return Light(tuple(map(_color, sky.split())), _color(sun), _color(far), _color(near), night)


#: Each theme: its lights in the order of a day.
THEMES: dict[str, tuple[Light, ...]] = {
    "ember": (
        _light("2c3e70 7d7fb0 f2b5a0 fde3c0", "fff2d6", "a99ab8", "20284a"),
        _light("1b1f4b 5b3a78 d9716b f9c58d", "ffe3b3", "b97a86", "14132b"),
        _light("070b1f 131c44 2b3a72 5a5f95", "e8ecff", "3a4478", "060815", night=True),
    ),
    "lagoon": (
        _light("1c5d86 4c9cb8 a9d9d2 f4eed2", "fffbe6", "86b9bf", "0d3142"),
        _light("1b4a7a 3f86bf 8cc4de dceff0", "ffffff", "7fabc6", "0e2c44"),
        _light("0d2a4a 1f5a78 5fa6a0 f2c98f", "ffe6bd", "4e8a92", "071b2a"),
        _light("04101f 0a2740 14506a 3b8a8f", "dff6ff", "1c5566", "030c16", night=True),
    ),
    "meadow": (
        _light("5a8fa8 9cc3b5 e3e3b8 fbe9b7", "fff8dc", "a5bfa0", "1c3b33"),
        _light("3e6a7c 8fa88a e9c77b fbe2a0", "fff0c2", "a9a87a", "1f2f22"),
        _light("20344c 4d5f72 a98d84 edbe8d", "ffddb0", "75786f", "121e1e"),
        _light("07131c 12303a 2a5650 5c8a72", "eafbe7", "25494a", "050e12", night=True),
    ),
    "violet": (
        _light("34327c 7c63b0 d79ac0 fbd6c8", "fff0ea", "a68abf", "211c4c"),
        _light("1a1446 4b2a82 a94f9e f4a6a6", "ffd9cf", "8c5a9e", "120c2e"),
        _light("0a0a2a 1e1b58 46348c 8e6bb8", "efe6ff", "4c3c8a", "07061c", night=True),
    ),
    "polar": (
        _light("3c6e91 7fb0c6 c7e2e6 f3f5ec", "ffffff", "a3c4d0", "1b3a50"),
        _light("1d3a58 3f7189 93b3b4 f0dfc6", "fff1da", "6f98a3", "10273a"),
        _light("06121f 0b2e3f 12605f 3fa588", "e6fff6", "1b4f5a", "040c14", night=True),
    ),
}

#: What calls for a theme: words, or beginnings of words where they have this many letters.
_BEGINNING_LETTERS = 5
_CALLS = {
    "ember": "fire flame sun volcano desert war empire ancient rome roman egypt histor gold heat energ money bread "
    "coffee clay lava rust iron",
    "lagoon": "ocean sea water river fish octopus whale coral island ship swim wave tide harbor harbour lake rain "
    "medic blood",
    "meadow": "forest tree plant garden farm food bee bird soil leaf leaves green health grass animal seed insect",
    "violet": "space star planet galax moon univers quantum music dream brain mind night sleep memor magic",
    "polar": "ice snow arctic antarct glaci cold winter mountain climate north frost wind weather air",
}


def theme_for(words: str, otherwise: str) -> str:
    """The theme that most of these words call for, or the other one where none does."""
    said = Counter(re.findall(r"[a-z]+", words.casefold()))
    calls = {
        theme: sum(count for word, count in said.items() if any(_is_of(word, call) for call in calling.split()))
        for theme, calling in _CALLS.items()
    }
    best = max(calls, key=lambda theme: (calls[theme], theme == otherwise))
    return best if calls[best] else otherwise


def _is_of(word: str, call: str) -> bool:
    """Short ones are whole words, or "bee" would be in "been"."""
    return word.startswith(call) if len(call) >= _BEGINNING_LETTERS else word in {call, f"{call}s", f"{call}es"}
