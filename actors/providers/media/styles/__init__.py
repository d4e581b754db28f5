"""The styles of generated pictures; each paints a canvas and knows nothing of the others."""

from __future__ import annotations

from collections.abc import Callable

from actors.providers.media.painting import Canvas, Image
from actors.providers.media.palettes import Light
from actors.providers.media.styles import aurora, bokeh, contours, forest, landscape, mesh

Style = Callable[[Canvas], Image]

#: Land beside abstract, so that neighbors differ.
_IN_TURN: tuple[Style, ...] = (
    landscape.mountains,
    bokeh.lights,
    landscape.sea,
    contours.sheets,
    forest.pines,
    mesh.flow,
    landscape.hills,
    aurora.curtains,
)


def style_for(number: int, light: Light) -> Style:
    """Return the style of the picture with this number; two in a row always differ."""
    style = _IN_TURN[number % len(_IN_TURN)]
    return mesh.flow if style is aurora.curtains and not light.night else style
