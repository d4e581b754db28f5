"""What NVENC is told: constant quality under a ceiling, as the runbook has it, and what a film gains from beyond that.

Every name here is known to the encoder in PyAV's wheel; a test asks it. The wheel's FFmpeg needs NVIDIA's driver 570 or
newer. How good and how fast a preset is cannot be seen without a card.
"""

from __future__ import annotations

from typing import Final

from actors.rendering.encoding.encoder import GOP_S, Codec
from schema.settings.video import Video

NAME: Final = "h264_nvenc"
#: Frames already on the card; the first one brings its device and layout.
PIX_FMT: Final = "cuda"
#: The runbook's figures (`-rc vbr -cq 23 -b:v 4M -maxrate 6M`); a buffer of two seconds at the ceiling.
_RATE: Final = {"rc": "vbr", "cq": "23", "b": "4M", "maxrate": "6M", "bufsize": "12M"}
#: Spends bits where the eye looks, and looks ahead to do so. Some older cards refuse one or the other.
_LOOKS_AHEAD: Final = {
    "bf": "3",
    "b_ref_mode": "middle",
    "rc-lookahead": "20",
    "spatial-aq": "1",
    "temporal-aq": "1",
    "multipass": "qres",
}
_PLAIN: Final = {"bf": "0"}


def codec(video: Video, *, plain: bool = False) -> Codec:
    """NVENC for such a film; `plain` without what older cards refuse. p1 is the fastest preset and p7 the best."""
    told = {"preset": video.nvenc_preset, "tune": "hq", "profile": "high", "g": str(GOP_S * video.fps)}
    return Codec(NAME, PIX_FMT, told | _RATE | (_PLAIN if plain else _LOOKS_AHEAD))
