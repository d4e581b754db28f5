"""The fonts that ship with the factory, chosen by the characters they have.

Guarantees that a character no font can draw is named before the first frame, instead of appearing as a box. It reads
the font's own character map (OpenType `cmap`, formats 4 and 12, which every current font has).
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from PIL import ImageFont

from schema.errors import PermanentError

Face = ImageFont.FreeTypeFont
REGULAR, SEMI_BOLD, BOLD, EXTRA_BOLD = 400, 600, 700, 800

#: Preferred first. Variable fonts with one axis, weight.
_FONTS: tuple[Path, ...] = (Path(str(files("fontpkg_montserrat") / "files" / "Montserrat[wght].ttf")),)
_UNDRAWN = ("Cc", "Cf", "Zs", "Zl", "Zp", "Mn")


class Font:
    """One font file, at any size and weight."""

    def __init__(self, path: Path) -> None:
        self._path = path
        #: Every code point it can draw.
        self.covers = frozenset(_code_points(path.read_bytes()))
        self.face = lru_cache(maxsize=32)(self._load)

    def _load(self, size_px: int, weight: int) -> Face:
        face = ImageFont.truetype(str(self._path), size_px)
        face.set_variation_by_axes([weight])
        return face


def choose(text: str) -> Font:
    """The first font that can draw all of `text`.

    Raises PermanentError, naming the characters the best font lacks.
    """
    wanted = {ord(letter) for letter in drawable(text) if unicodedata.category(letter) not in _UNDRAWN}
    fonts = [_open(path) for path in _FONTS]
    for font in fonts:
        if wanted <= font.covers:
            return font
    missing = min((sorted(wanted - font.covers) for font in fonts), key=len)
    named = ", ".join(f"{chr(code)!r} (U+{code:04X} {unicodedata.name(chr(code), 'unnamed')})" for code in missing[:3])
    more = f" and {len(missing) - 3} more" if len(missing) > len(missing[:3]) else ""
    raise PermanentError(f"no font here can draw {named}{more}", hint="leave the character out of the words or title")


def drawable(text: str) -> str:
    """The text as it is drawn: composed, so that an accent and its letter are one glyph, and without line breaks."""
    return " ".join(unicodedata.normalize("NFC", text).split())


@lru_cache(maxsize=8)
def _open(path: Path) -> Font:
    return Font(path)


def _code_points(font: bytes) -> Iterator[int]:
    table = next(
        struct.unpack_from(">II", font, 12 + 16 * place + 8)[0]
        for place in range(struct.unpack_from(">H", font, 4)[0])
        if font[12 + 16 * place : 16 + 16 * place] == b"cmap"
    )
    for place in range(struct.unpack_from(">H", font, table + 2)[0]):
        start = table + struct.unpack_from(">HHI", font, table + 4 + 8 * place)[2]
        kind = struct.unpack_from(">H", font, start)[0]
        if kind == 4:  # noqa: PLR2004 - the format's number
            yield from _segments(font, start)
        elif kind == 12:  # noqa: PLR2004 - likewise
            for group in range(struct.unpack_from(">I", font, start + 12)[0]):
                first, last, _ = struct.unpack_from(">III", font, start + 16 + 12 * group)
                yield from range(first, last + 1)


def _segments(font: bytes, start: int) -> Iterator[int]:
    """Format 4: parallel arrays of segment ends, starts, deltas and offsets."""
    count = struct.unpack_from(">H", font, start + 6)[0] // 2
    ends = struct.unpack_from(f">{count}H", font, start + 14)
    begins = struct.unpack_from(f">{count}H", font, start + 16 + 2 * count)
    deltas = struct.unpack_from(f">{count}H", font, start + 16 + 4 * count)
    offsets_at = start + 16 + 6 * count
    offsets = struct.unpack_from(f">{count}H", font, offsets_at)
    for place, (begin, end, delta, offset) in enumerate(zip(begins, ends, deltas, offsets, strict=True)):
        for code in range(begin, min(end, 0xFFFE) + 1):
            glyph = code + delta
            if offset:
                glyph = struct.unpack_from(">H", font, offsets_at + 2 * place + offset + 2 * (code - begin))[0]
            if glyph & 0xFFFF:
                yield code
