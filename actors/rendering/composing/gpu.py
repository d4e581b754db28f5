"""The compositor on a graphics card: one kernel makes a frame of RGB pictures and patches, NV12 in one allocation.

Pictures go up once, patches once while they are shown; a frame costs one launch and no copy (or one, to pinned memory,
where it is to be encoded on the CPU). Clips that the card decodes (drawing/card_reels.py) are read where their decoder
left them; of those that only the CPU can, each frame goes up. What a view shows is what composing/cpu.py shows: the
same rectangle of the same picture, but in RGB, so that colours are mixed before they lose their sharpness to chroma.

Checked without a card: the kernel compiles for every kind of card, its arithmetic equals reference.py within one level
(of 255), this file runs as it is on a card and a decoder that are played (tests/fakes/card), which count the copies and
the pictures that are held. Not checked: a real card. At 1920 x 1080 a prepared picture has 11 MB on the card, a frame
3.3 MB; the ring settles at some 40.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import av
import cv2
import numpy as np
from av.video.frame import CudaContext

from actors.rendering.composing.card import Card
from actors.rendering.composing.compositor import Canvas, Fills, Layer, OnCard, slope
from actors.rendering.composing.ring import Ring
from actors.rendering.nv12 import BT709, LIMITED, Nv12, Patch, Pixels, planes_of, video_frame
from actors.rendering.planning.framing import LARGEST_ZOOM

#: As in kernel.cu.
MAX_LAYERS: Final = 4
MAX_PATCHES: Final = 6
LAYER: Final = np.dtype(
    [(name, "<u8") for name in ("pixels", "luma", "chroma")]
    + [(name, "<f4") for name in ("scale", "left", "top", "weight", "across", "down")]
    + [(name, "<i4") for name in ("width", "height", "pitch")],
    align=True,
)
PATCH: Final = np.dtype(
    [("luma", "<u8"), ("chroma", "<u8")]
    + [(name, "<i4") for name in ("left", "top", "width", "height")]
    + [("opacity", "<f4")],
    align=True,
)
FRAME: Final = np.dtype(
    [("layers", LAYER, MAX_LAYERS), ("patches", PATCH, MAX_PATCHES), ("layer_count", "<i4"), ("patch_count", "<i4")],
    align=True,
)
#: Patches kept on the card: those of a frame, and those that come back.
_PATCHES_KEPT: Final = 8
#: Frames of which the decoders' pictures may be held at once; the card is waited for where it is so far behind.
_HELD: Final = 8


class _Lifted(NamedTuple):
    """One frame of a moving picture, brought up: NV12 in one allocation without gaps."""

    whole: Any


class GpuCompositor:
    """Frames of `width` x `height`; they stay on the card, or come to pinned memory where they are not to."""

    def __init__(self, card: Card, width: int, height: int, *, stays: bool) -> None:
        self._card, self._size, self._stays = card, (width, height), stays
        self._ring = Ring(card, width, height)
        # The context that cupy made: with one of its own the encoder could not read cupy's memory. Made when the
        # first frame is, of what is current on that thread.
        self._context = CudaContext(device_id=0, primary_ctx=False, current_ctx=True, cuda_stream=card.stream.ptr)
        self._patches: OrderedDict[int, tuple[Patch, Any, Any]] = OrderedDict()
        #: Pictures that launches read, until they have: their decoder would write to them again.
        self._held: deque[tuple[Any, list[OnCard]]] = deque()

    @property
    def card(self) -> Card:
        """It decodes what moves, as far as it can."""
        return self._card

    def canvas_size(self) -> tuple[int, int]:
        """Width and height to which a picture must be sized before it is prepared: sharp at the nearest zoom."""
        width, height = (math.ceil(length * LARGEST_ZOOM / 2) * 2 for length in self._size)
        return width, height

    def prepare(self, rgb: Pixels) -> Canvas:
        """The picture on the card, RGB and a byte of padding."""
        height, width = rgb.shape[:2]
        padded = cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA).astype(np.uint8, copy=False)
        luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
        return Canvas(self._card.upload(padded), width, height, slope(luma))

    def moving(self, picture: Fills) -> Canvas:
        """Where it lies, if it is on the card; else NV12 by way of pinned memory, 3.1 MB for a frame at 1080p."""
        if (there := picture.on_card()) is not None:
            self._card.follow_decoders()
            return Canvas(there, there.width, there.height, 0.0)
        width, height = self._size

        def fill(whole: Pixels) -> None:
            picture.fill(planes_of(whole, width))

        return Canvas(_Lifted(self._card.lift(fill, (height * 3 // 2, width))), width, height, 0.0)

    def compose(self, layers: Sequence[Layer], patches: Sequence[tuple[Patch, float]]) -> Nv12:
        """A new frame; where it stays on the card, it is done when the card's stream has come to it."""
        if not 0 < len(layers) <= MAX_LAYERS or len(patches) > MAX_PATCHES:
            most = f"a frame takes 1 to {MAX_LAYERS} and 0 to {MAX_PATCHES}"
            raise ValueError(f"{len(layers)} layers and {len(patches)} patches: {most}")
        frame = np.zeros(1, FRAME)
        frame["layer_count"], frame["patch_count"] = len(layers), len(patches)
        for place, layer in enumerate(layers):
            canvas = layer.canvas
            scale, left, top = layer.view(*self._size)
            cover = (layer.weight, layer.across / self._size[0], layer.down / self._size[1])
            frame["layers"][0, place] = (
                *_addresses(canvas),
                *(scale, left, top),
                *cover,
                *(canvas.width, canvas.height, _pitch(canvas)),
            )
        for place, (patch, opacity) in enumerate(patches):
            luma, chroma = self._uploaded(patch)
            height, width = patch.colour.y.shape
            pointers = (luma.data.ptr, chroma.data.ptr)
            frame["patches"][0, place] = (*pointers, patch.left, patch.top, width, height, opacity)
        whole = self._ring.take()
        self._card.launch(frame, whole, self._size, self._ring.pitch)
        self._hold([layer.canvas.picture for layer in layers if isinstance(layer.canvas.picture, OnCard)])
        return planes_of(whole if self._stays else self._card.download(whole), self._size[0])

    def frame(self, picture: Nv12) -> av.VideoFrame:
        """What was composed, as its encoder takes it; NVENC reads it where it is, when the stream has come to it."""
        if not self._stays:
            return video_frame(picture)
        with self._card.here():
            frame = av.VideoFrame.from_dlpack(
                picture.planes(), format="nv12", stream=self._card.stream.ptr, cuda_context=self._context
            )
        frame.colorspace, frame.color_range = BT709, LIMITED
        return frame

    def _hold(self, pictures: list[OnCard]) -> None:
        """Keep these until what was just launched has read them, and let go of those that have been read."""
        if pictures:
            self._held.append((self._card.mark(), pictures))
        while self._held and (self._held[0][0].done or len(self._held) > _HELD):
            mark, _read = self._held.popleft()
            mark.synchronize()

    def _uploaded(self, patch: Patch) -> tuple[Any, Any]:
        """The patch on the card as the kernel reads it; the last few are kept, known by their pixels' identity."""
        key = id(patch.colour.y)  # the entry holds the patch, so no other has this identity
        if key not in self._patches:
            luma = np.dstack([patch.colour.y, patch.through.y])
            share = patch.through.uv[..., :1]
            chroma = np.dstack([patch.colour.uv, share, np.zeros_like(share)])
            self._patches[key] = (patch, self._card.upload(luma), self._card.upload(chroma))
            if len(self._patches) > _PATCHES_KEPT:
                self._patches.popitem(last=False)
        self._patches.move_to_end(key)
        return self._patches[key][1:]


def _addresses(canvas: Canvas) -> tuple[int, int, int]:
    """Where the kernel finds the picture: its RGB, or else its luma and its chroma."""
    if isinstance(canvas.picture, OnCard):
        return 0, canvas.picture.luma, canvas.picture.chroma
    if isinstance(canvas.picture, _Lifted):
        luma: int = canvas.picture.whole.data.ptr
        return 0, luma, luma + canvas.width * canvas.height
    return canvas.picture.data.ptr, 0, 0


def _pitch(canvas: Canvas) -> int:
    return canvas.picture.pitch if isinstance(canvas.picture, OnCard) else canvas.width
