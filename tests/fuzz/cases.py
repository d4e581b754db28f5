"""Broken input, made by chance from what is right: bytes that were cut and spliced, JSON with the wrong things in it.

All chance comes from the generator that is given, so a case is its row, its seed and its number, and nothing else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final

#: Text that has broken parsers, shells, terminals, databases and fonts before.
TEXTS: Final = (
    "", " ", "\x00", "a\x00b", "\t", "\r\n", "\n\n", "\x1b[31mred\x1b[0m", "\x7f", "\u0085", "\u2028", "\u202e reversed",
    "\ufeff", "\ufffe", "\U0010ffff", "\u200b\u200d", "e\u0301" * 20, "Z" + "\u0334\u0361\u0489" * 40, "\u0131\u0130\u017f\u1e9e", "\U0001f469\u200d\U0001f692",
    "\u0645\u0631\u062d\u0628\u0627", "\u4f60\u597d", "\u0e2a\u0e27\u0e31", "null", "None", "true", "NaN", "-inf", "0", "-1", "1e999", "00", "0x10", "\u0663", "1_000", "9" * 30,
    "9" * 5000, "../../etc/passwd", "file:///etc/passwd", "http://169.254.169.254/", "'; DROP TABLE video_queue; --", "$(id)", "`id`",
    "%s%n%x", "{{7*7}}", "${jndi:x}", "<script>", "]]>", "&lol;", "\\", '"', "'", "x" * 300, "word " * 2000, "a" * 70_000,
)  # fmt: skip
#: Numbers at the edges of what machines count with.
NUMBERS: Final = (
    0, -1, 1, 2, 127, 128, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**63 - 1, 2**63,
    2**64, -(2**63) - 1, 10**30, 0.0, -0.0, 0.1, 1e-320, 1e308, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip
_DEEP: Final = (3, 60, 400, 900, 3000)


def chance(row: str, seed: int, number: int) -> random.Random:
    """The generator of one case."""
    return random.Random(f"{row} {seed} {number}")  # noqa: S311 - repeatable


def text(rng: random.Random) -> str:
    """A text that somebody may have sent."""
    if rng.random() < 0.7:
        return rng.choice(TEXTS)
    ranges = ((32, 126), (0, 31), (0xA0, 0x17F), (0x300, 0x36F), (0x590, 0x6FF), (0x4E00, 0x4FFF), (0x1F300, 0x1F6FF))
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.choice((1, 3, 20, 200))))


def value(rng: random.Random) -> Any:  # noqa: ANN401 - anything JSON can say, and some that it cannot
    """A value of any kind."""
    match rng.randrange(9):
        case 0:
            return None
        case 1:
            return rng.choice((True, False))
        case 2 | 3:
            return rng.choice(NUMBERS)
        case 4:
            return [value(rng) for _ in range(rng.randrange(3))]
        case 5:
            return {text(rng)[:50]: value(rng) for _ in range(rng.randrange(3))}
        case 6:
            made: Any = rng.choice((1, "x", None))
            for _ in range(rng.choice(_DEEP[:3])):
                made = [made] if rng.random() < 0.5 else {"a": made}
            return made
        case _:
            return text(rng)


def changed(rng: random.Random, told: Any) -> Any:  # noqa: ANN401 - likewise
    """JSON with one to three things in it that should not be there, or not there that should."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        told = _changed_once(rng, told)
    return told


def _changed_once(rng: random.Random, told: Any) -> Any:  # noqa: ANN401 - likewise
    if isinstance(told, dict) and told and rng.random() < 0.92:
        name = rng.choice(list(told))
        rest = {key: one for key, one in told.items() if key != name}
        match rng.randrange(14):
            case 0:
                return rest
            case 1:
                return {**rest, text(rng)[:50]: told[name]}
            case 2:
                return {**told, text(rng)[:50]: value(rng)}
            case _:
                return {**told, name: _changed_once(rng, told[name])}
    if isinstance(told, list) and told and rng.random() < 0.92:
        at = rng.randrange(len(told))
        match rng.randrange(14):
            case 0:
                return told[:at] + told[at + 1 :]
            case 1:
                return told * rng.choice((0, 2, 50))
            case 2:
                return [*told[:at], value(rng), *told[at:]]
            case _:
                return [*told[:at], _changed_once(rng, told[at]), *told[at + 1 :]]
    if isinstance(told, str) and rng.random() < 0.5:
        at = rng.randint(0, len(told))
        return told[:at] + text(rng)[:500] + told[at + rng.randrange(3) :]
    return value(rng)


def as_json(rng: random.Random, told: Any) -> bytes:  # noqa: ANN401 - likewise
    """Bytes that may be JSON: NaN, halves of characters and keys that come twice are what libraries differ in."""
    said = json.dumps(told, ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")
    match rng.randrange(24):
        case 0:
            return b"\xef\xbb\xbf" + said
        case 1:
            return said.replace(b"{", b'{"id": 7, "id": null, ', 1)
        case 2:
            return said.replace(b'"', rng.choice((b'"\\ud800', b'"\\u0000', b'"\xff', b"'")), rng.randrange(1, 9))
        case 3:
            return said.decode(errors="replace").encode(rng.choice(("utf-16", "utf-32", "latin-1")), errors="replace")
        case 4:
            depth = rng.choice(_DEEP)
            return b"[" * depth + said + b"]" * depth
        case 5:
            return said + rng.choice((b" {}", b"\x00", b"\n" * 5000, said))
        case _:
            return said


def spoilt(rng: random.Random, data: bytes, *, other: bytes = b"", head: int = 0) -> bytes:
    """The bytes after accidents: cut, flipped, spliced, said twice; near the beginning more often when `head` is set."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 12))):
        at = rng.randrange(min(head, len(made)) if head and made and rng.random() < 0.6 else len(made) or 1)
        rng.choice(_ACCIDENTS)(rng, made, at, other)
    return bytes(made)


def _flip(rng: random.Random, made: bytearray, at: int, _other: bytes) -> None:
    made[at : at + 1] = bytes([(made[at] if made else 0) ^ (1 << rng.randrange(8))])


def _overwrite(rng: random.Random, made: bytearray, at: int, _other: bytes) -> None:
    size = rng.choice((1, 2, 4, 8))
    number = int(rng.choice([one for one in NUMBERS if isinstance(one, int)])) % (1 << 8 * size)
    made[at : at + size] = number.to_bytes(size, rng.choice(("big", "little")))


def _noise(rng: random.Random, made: bytearray, at: int, _other: bytes) -> None:
    size = rng.choice((1, 4, 30, 500))
    made[at : at + size] = rng.randbytes(size)


def _cut(rng: random.Random, made: bytearray, at: int, _other: bytes) -> None:
    if rng.random() < 0.5:
        del made[at:]
    else:
        del made[at : at + rng.choice((1, 2, 7, 100, 5000))]


def _splice(rng: random.Random, made: bytearray, at: int, other: bytes) -> None:
    source = other or bytes(made)
    begin = rng.randrange(len(source) or 1)
    made[at:at] = source[begin : begin + rng.choice((4, 64, 2000, len(source)))]


def _swell(rng: random.Random, made: bytearray, at: int, _other: bytes) -> None:
    made[at:at] = rng.choice((b"\x00", b"\xff", b"0", bytes(made[at : at + 16]) or b"x")) * rng.choice((1, 100, 4000))


_ACCIDENTS: Final[tuple[Callable[[random.Random, bytearray, int, bytes], None], ...]] = (
    *(_flip, _flip, _overwrite, _overwrite, _noise, _cut, _splice, _swell),
)
