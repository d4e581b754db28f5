"""What goes with a film, under its own name: subtitles for players and sites, and a thumbnail.

Written before the film gets its name: a film that is there has them. Where all pictures are clips there is no
thumbnail.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image

from actors.rendering import styles
from actors.rendering.drawing import thumbnail
from actors.rendering.drawing.fonts import Font
from actors.rendering.order import SRT, THUMBNAIL, VTT, FilmOrder
from actors.rendering.planning import subtitles
from actors.rendering.planning.plan import Plan

_QUALITY: Final = 88
#: So many pictures at most are judged for the thumbnail, spread over the film: judging one means decoding it.
_JUDGED: Final = 12


def write(order: FilmOrder, film: Plan, font: Font) -> None:
    """All of it; `font` is the style's for titles."""
    out = Path(order.out)
    out.with_suffix(SRT).write_text(subtitles.srt(film), encoding="utf-8")
    out.with_suffix(VTT).write_text(subtitles.vtt(film), encoding="utf-8")
    kinds = [picture.kind for picture in order.footage.pictures]
    stills = [path for path, kind in zip(order.pictures, kinds, strict=True) if kind == "still"]
    if stills:
        style = styles.named(order.style, order.aspect)
        pixels = thumbnail.thumbnail(
            film, Path(thumbnail.most_striking(stills[:: -(-len(stills) // _JUDGED)])), style, font
        )
        Image.fromarray(pixels).save(out.with_suffix(THUMBNAIL), "JPEG", quality=_QUALITY, optimize=True)
