"""Pictures and clips that can really be decoded: each is made from its number, and made once."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_CLIP_S, _CLIP_FPS = 5, 15
#: What a clip says of itself, as cameras do.
OWNER = "taken at home by somebody"
#: Soft colours look alike when they are drawn so much smaller, and cost less.
_SMALLER = 8


@cache
def photo(number: int, width: int, height: int) -> bytes:
    """A JPEG of soft colours."""
    held = io.BytesIO()
    Image.fromarray(_colours(number, width, height, 0.0)).save(held, "JPEG", quality=85)
    return held.getvalue()


@cache
def clip(number: int, width: int, height: int) -> bytes:
    """An MP4 of five seconds in which the colours drift, and that says whose it is."""
    import av  # noqa: PLC0415 - only clips need it

    held = io.BytesIO()
    with av.open(held, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=_CLIP_FPS, options={"preset": "ultrafast"})
        container.metadata["comment"] = OWNER
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame_number in range(_CLIP_S * _CLIP_FPS):
            picture = _colours(number, width // _SMALLER, height // _SMALLER, frame_number / _CLIP_FPS)
            small = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(small.reformat(width, height, "yuv420p", interpolation="BILINEAR")))
        container.mux(stream.encode())
    return held.getvalue()


def _colours(number: int, width: int, height: int, time_s: float) -> NDArray[np.uint8]:
    across = np.linspace(0, 3, width, dtype=np.float32)[None, :]
    down = np.linspace(0, 2, height, dtype=np.float32)[:, None]
    planes = [128 + 100 * np.sin(across * (1 + number % 3) + down + shade + time_s + number) for shade in (0, 2, 4)]
    return np.stack(planes, axis=-1).astype(np.uint8)
