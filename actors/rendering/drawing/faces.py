"""Font files: the characters they have, their weights, and glyphs drawn from them.

HarfBuzz reads, shapes and draws: Arabic is joined and Indic syllables are built on every machine, without a system
library. Coverage is smooth to 1/255 of a pixel and glyphs stand where they belong to a fraction of one: no hinting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import uharfbuzz as hb

from actors.rendering.nv12 import Pixels


class FontFile:
    """One font file (or one of several in a collection), at any weight; what it measures is in ems."""

    def __init__(self, path: Path, index: int = 0, axes: Mapping[str, float] | None = None) -> None:
        self._face = hb.Face(hb.Blob.from_file_path(str(path)), index)
        self._axes = dict(axes or {})
        self.units = int(self._face.upem)
        #: Every code point it can draw.
        self.covers = frozenset(self._face.unicodes)
        self.cut = lru_cache(maxsize=8)(self._cut)

    def _cut(self, weight: int) -> Any:  # noqa: ANN401 - hb.Font, whose package has no types
        """The font in this weight, as near as it has it."""
        cut = hb.Font(self._face)
        cut.set_variations({"wght": weight, **self._axes})
        return cut

    def metrics(self, weight: int) -> tuple[float, float]:
        """How far it reaches above and below the base line, both positive."""
        extents = self.cut(weight).get_font_extents("ltr")
        return extents.ascender / self.units, -extents.descender / self.units

    def shaped(self, text: str, weight: int, language: str, *, from_right: bool) -> tuple[list[Glyph], float]:
        """The glyphs of a text that this font covers, from left to right, and how far the pen went."""
        buffer = hb.Buffer()
        buffer.add_codepoints([ord(letter) for letter in text])
        buffer.guess_segment_properties()
        buffer.direction, buffer.language = "rtl" if from_right else "ltr", language
        cut = self.cut(weight)
        hb.shape(cut, buffer)
        glyphs, pen = [], 0.0
        for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            x, y = pen + position.x_offset / self.units, position.y_offset / self.units
            glyphs.append(Glyph(cut, 1 / self.units, info.codepoint, x, y, info.cluster))
            pen += position.x_advance / self.units
        return glyphs, pen


class Glyph(NamedTuple):
    """A glyph and where it stands on its line, in ems; `letter` is the index of the character that it comes from."""

    cut: Any
    em: float
    number: int
    x: float
    y: float
    letter: int


class Ink(NamedTuple):
    """Coverage of something drawn, 0 to 255, and where its corner lies from where the pen started on the base line."""

    left: int
    top: int
    mask: Pixels


def drawn(glyphs: Iterable[Glyph], size_px: float) -> Ink | None:
    """The glyphs at this size; None where there is nothing to be seen."""
    raster = hb.RasterDraw()
    for glyph in glyphs:
        scale = glyph.em * size_px
        raster.transform = (scale, 0, 0, scale, glyph.x * size_px, glyph.y * size_px)
        raster.draw_glyph(glyph.cut, glyph.number)
    image = raster.render()
    if image is None or not image.extents.width or not image.extents.height:
        return None
    extents = image.extents
    rows = np.frombuffer(image.buffer, np.uint8).reshape(extents.height, extents.stride)
    # HarfBuzz counts rows upwards
    return Ink(
        extents.x_origin, -(extents.y_origin + extents.height), np.ascontiguousarray(rows[::-1, : extents.width])
    )
