"""NV12, BT.709 limited: the one layout in which pictures, patches of text and frames meet.

Luma, and interleaved chroma at half size. A card's frame is one allocation, chroma right below luma, because NVENC
finds it by the luma's pitch and height alone; libx264 takes two as well. All sizes are even. Nothing here resamples.
"""

from __future__ import annotations

from typing import NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

#: `AVColorSpace`, `AVColorPrimaries` and `AVColorTransferCharacteristic` all number BT.709 as 1; limited range too.
BT709 = 1
LIMITED = 1

#: Rows give Y, U, V of full-range RGB, with the offset as the fourth column (ITU-R BT.709, 8 bit, limited).
_KR, _KB = 0.2126, 0.0722
_KG = 1 - _KR - _KB
_LUMA, _CHROMA = 219 / 255, 224 / 255
_MATRIX = np.array(
    [
        [_LUMA * _KR, _LUMA * _KG, _LUMA * _KB, 16],
        [-_CHROMA * _KR / (2 - 2 * _KB), -_CHROMA * _KG / (2 - 2 * _KB), _CHROMA / 2, 128],
        [_CHROMA / 2, -_CHROMA * _KG / (2 - 2 * _KR), -_CHROMA * _KB / (2 - 2 * _KR), 128],
    ],
    np.float32,
)


class Nv12(NamedTuple):
    """A picture: `y` is (height, width), `uv` is (height / 2, width / 2, 2), both uint8."""

    y: Pixels
    uv: Pixels

    def planes(self) -> tuple[Pixels, Pixels]:
        """Luma and chroma, to treat alike."""
        return self.y, self.uv


class Patch(NamedTuple):
    """Something to lay over a frame with its top left corner at (`left`, `top`), both even.

    `colour` is multiplied by its alpha already; `through` is how much of the frame shows, 255 for all of it.
    """

    left: int
    top: int
    colour: Nv12
    through: Nv12


def blank(width: int, height: int) -> Nv12:
    """A frame of undefined content, in one allocation."""
    return planes_of(np.empty((height * 3 // 2, width), np.uint8), width)


def planes_of(whole: Pixels, width: int) -> Nv12:
    """The frame in one allocation (height * 3 / 2, pitch), numpy's or a card's; its rows may be the longer ones."""
    rows, pitch = whole.shape
    height = rows * 2 // 3
    return Nv12(whole[:height, :width], whole[height:].reshape(height // 2, pitch // 2, 2)[:, : width // 2])


def from_rgb(rgb: Pixels) -> Nv12:
    """The picture (height, width, 3) in NV12; swscale does the conversion."""
    height, width = rgb.shape[:2]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
        format="nv12", src_colorspace="ITU709", dst_colorspace="ITU709", dst_color_range="MPEG"
    )
    luma, chroma = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:, :width] for plane in frame.planes
    )
    return Nv12(luma[:height].copy(), chroma[: height // 2].copy().reshape(height // 2, width // 2, 2))


def patch(rgba: Pixels, left: int, top: int) -> Patch:
    """A patch of an image with straight alpha (height, width, 4); odd sizes and places are rounded to even ones."""
    height, width = rgba.shape[:2]
    rgba = cv2.copyMakeBorder(rgba, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT).astype(np.float32)
    alpha = rgba[..., 3] / 255
    yuv = cv2.transform(rgba[..., :3], _MATRIX) * alpha[..., None]
    half = (alpha.shape[1] // 2, alpha.shape[0] // 2)
    chroma = cv2.resize(yuv[..., 1:], half, interpolation=cv2.INTER_AREA)
    shown = cv2.resize(alpha, half, interpolation=cv2.INTER_AREA)
    return Patch(
        left // 2 * 2,
        top // 2 * 2,
        Nv12(_eight_bit(yuv[..., 0]), _eight_bit(chroma)),
        Nv12(_eight_bit(255 * (1 - alpha)), _eight_bit(255 * (1 - np.dstack([shown, shown])))),
    )


def _eight_bit(values: NDArray[np.floating | np.integer]) -> Pixels:
    return np.ascontiguousarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def video_frame(picture: Nv12) -> av.VideoFrame:
    """A tagged frame that shares the picture's memory; do not write to it until the encoder has taken it."""
    frame = av.VideoFrame.from_dlpack(picture.planes(), format="nv12")
    frame.colorspace, frame.color_range = BT709, LIMITED
    return frame
