"""What the owner of a card runs, `./ytempire doctor --gpu`: the card against the CPU, frame by frame and as a film.

Composes two seconds with everything in them (moving views, a wipe, a caption) on both, compares single frames with
plain floating point, encodes on the card, decodes what came out and compares it with what the CPU composed. What came
out is then shown as a clip, decoded by the card and by the CPU, and the pictures are compared. It measures speed, and
judges none. Where a card has no encoder it is checked with the CPU's, as films are made there.

This was written and run on a card that is played; what it says of a real one, no machine of its makers has shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import av
import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from actors.rendering.backend import Way, Ways
from actors.rendering.composing import reference
from actors.rendering.composing.card import Card, CardError
from actors.rendering.composing.compositor import Canvas, Compositor, Layer
from actors.rendering.composing.cpu import CpuCompositor
from actors.rendering.composing.gpu import GpuCompositor
from actors.rendering.drawing.clips import Clip
from actors.rendering.drawing.transitions import cover
from actors.rendering.encoding.encoder import Encoder
from actors.rendering.encoding.parts import Part
from actors.rendering.nv12 import Nv12, Patch, Pixels, blank, patch
from actors.rendering.planning.clipping import Part as Stretch
from schema.documents import Finding
from schema.settings.video import Video

#: One level is rounding; a card's own arithmetic may differ in the last bit before it.
_MOST_LEVELS: Final = 1.0
#: Two resamplers, on pictures of their own size each: 50 dB at 720p (a played card); a shift of one pixel is 36.
_LEAST_COMPOSED_DB: Final = 38.0
#: A film against the CPU's frames: libx264 at crf 23 gives 40 dB at worst and 0.98, three frames off are 31.6 and 0.91.
_LEAST_FILM_DB: Final = 33.0
_LEAST_FILM_SSIM: Final = 0.93
_FADE_S: Final = 0.5


class Report(msgspec.Struct, frozen=True):
    """What was found; `allowed` is empty for what is only measured."""

    card: str
    findings: tuple[Finding, ...]


class _Scene(NamedTuple):
    """A compositor with the pictures of the test prepared for it."""

    compositor: Compositor
    canvases: tuple[Canvas, Canvas]
    pictures: tuple[Pixels, Pixels]


def check(video: Video, size: tuple[int, int] = (1280, 720), seconds: float = 2.0) -> Report:
    """Compare the card with the CPU. Raises CardError when there is none to compare."""
    frames, words = round(seconds * video.fps), _caption(size)
    with Ways(video, size) as ways:
        if ways.card is None:
            raise CardError(ways.fallback or "the settings say cpu", "no_card")
        way = ways.best()
        if way.name == "cpu":
            return Report(ways.card.name, (Finding("ways", False, ways.fallback, "the card composes"),))  # noqa: FBT003 - it does not
        on_card = _scene(GpuCompositor(ways.card, *size, stays=False))
        on_cpu = _scene(CpuCompositor(*size))
        fade = round(_FADE_S * video.fps)
        composed = [_composed(on_cpu, place, frames, fade, words) for place in range(frames)]
        findings = [
            Finding("ways", True, f"composed on the card, encoded by {way.codec.name}{_because(ways)}", ""),  # noqa: FBT003 - it did
            _exact(on_card, frames, fade, words, size),
            _like_cpu(on_card, composed, fade, words),
            *_film(way, composed, fade, words, video, card=ways.card),
        ]
    return Report(f"{ways.card.name}, compute capability {ways.card.capability}", tuple(findings))


def _because(ways: Ways) -> str:
    return f" ({ways.fallback})" if ways.fallback else ""


def _exact(on_card: _Scene, frames: int, fade: int, words: Patch, size: tuple[int, int]) -> Finding:
    """Single frames against plain floating point."""
    worst = 0.0
    for place in (0, frames // 2, frames - 1):
        layers = _layers(on_card, place, frames, fade)
        pictures = on_card.pictures[-len(layers) :] if place else on_card.pictures[:1]
        wanted = reference.compose(list(zip(layers, pictures, strict=True)), [(words, 0.9)], *size)
        made = on_card.compositor.compose(layers, [(words, 0.9)])
        worst = max(worst, *(float(np.abs(a - b).max()) for a, b in zip(made.planes(), wanted, strict=True)))
    allowed = f"{_MOST_LEVELS:g} of 255 levels"
    return Finding("kernel", worst <= _MOST_LEVELS, f"at most {worst:.2f} levels off floating point", allowed)


def _like_cpu(on_card: _Scene, composed: list[Nv12], fade: int, words: Patch) -> Finding:
    """All frames as they are composed, card and CPU."""
    began_s = time.perf_counter()
    made = [_composed(on_card, place, len(composed), fade, words) for place in range(len(composed))]
    spent_s = time.perf_counter() - began_s
    worst = min(psnr_db(card.y, cpu.y) for card, cpu in zip(made, composed, strict=True))
    said = f"luma {worst:.1f} dB from the CPU's frames at worst, {len(made) / spent_s:.0f} frames/s with the copy down"
    return Finding("frames", worst >= _LEAST_COMPOSED_DB, said, f"{_LEAST_COMPOSED_DB:g} dB")


def _film(way: Way, composed: list[Nv12], fade: int, words: Patch, video: Video, *, card: Card) -> Iterator[Finding]:
    """Encode as films are encoded, and look at what came out; then show it as a clip."""
    height, width = composed[0].y.shape
    scene = _scene(way.compositor)
    with TemporaryDirectory(prefix="ytempire-card-") as folder:
        part = Part(Path(folder), 0)
        began_s = time.perf_counter()
        with Encoder(part, (width, height), video, codec=way.codec, as_frame=way.compositor.frame) as encoder:
            for place in range(len(composed)):
                encoder.write(_composed(scene, place, len(composed), fade, words))
        spent_s = time.perf_counter() - began_s
        with av.open(str(part.path)) as container:
            shown = [_luma(frame) for frame in container.decode(video=0)]
        as_clip = _clip(str(part.path), card, (width, height), len(composed), video.fps)
        part.close()
    speed = f"{len(composed) / spent_s:.0f} frames/s in all"
    said = f"{len(shown)} of {len(composed)} frames, {part.size_bytes} bytes, {speed}"
    yield Finding("film", len(shown) == len(composed), said, f"{len(composed)} frames")
    if len(shown) == len(composed):
        levels = [psnr_db(frame, cpu.y) for frame, cpu in zip(shown, composed, strict=True)]
        alike = min(ssim(frame, cpu.y) for frame, cpu in list(zip(shown, composed, strict=True))[:: video.fps // 2])
        said = f"luma {np.mean(levels):.1f} dB from the CPU's frames ({min(levels):.1f} at worst), SSIM {alike:.3f}"
        well = min(levels) >= _LEAST_FILM_DB and alike >= _LEAST_FILM_SSIM
        yield Finding("picture", well, said, f"{_LEAST_FILM_DB:g} dB at worst, SSIM {_LEAST_FILM_SSIM:g}")
    yield as_clip


def _clip(path: str, card: Card, size: tuple[int, int], frames: int, fps: int) -> Finding:
    """A clip as films show it, decoded by the card and by the CPU."""
    compositor, by_card, by_cpu = (
        GpuCompositor(card, *size, stays=False),
        Clip(path, Stretch(0.0), size, card),
        Clip(path, Stretch(0.0), size),
    )
    shown, worst, spent_s = blank(*size), 0, 0.0
    for place in range(frames):
        began_s = time.perf_counter()
        by_card.seek(place / fps)
        made = compositor.compose([Layer(compositor.moving(by_card), 1.0, 0.5, 0.5, 1.0)], [])
        spent_s += time.perf_counter() - began_s
        by_cpu.seek(place / fps)
        by_cpu.fill(shown)
        worst = max(worst, *(int(cv2.absdiff(np.asarray(a), b).max()) for a, b in zip(made, shown, strict=True)))
    for clip in (by_card, by_cpu):
        clip.close()
    if by_card.by_cpu:
        return Finding("clips", False, by_card.by_cpu, "the card decodes it")  # noqa: FBT003 - it does not
    said = f"at most {worst} levels off what the CPU decodes, {frames / spent_s:.0f} frames/s with the copy down"
    return Finding("clips", worst <= _MOST_LEVELS, said, f"{_MOST_LEVELS:g} of 255 levels")


def _luma(frame: av.VideoFrame) -> Pixels:
    """The plane as it was decoded, without a conversion."""
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width].copy()


def _scene(compositor: Compositor) -> _Scene:
    columns, rows = compositor.canvas_size()
    first, second = (_picture(seed, columns, rows) for seed in (3, 4))
    return _Scene(compositor, (compositor.prepare(first), compositor.prepare(second)), (first, second))


def _layers(scene: _Scene, place: int, frames: int, fade: int) -> list[Layer]:
    """One picture, a wipe in the middle, the other; both moving all the time."""
    progress, taken = place / frames, (place - frames // 2 + fade // 2) / fade
    lower = Layer(scene.canvases[0], 1.02 + 0.12 * progress, 0.3 + 0.4 * progress, 0.5, 1.0)
    upper = Layer(scene.canvases[1], 1.15 - 0.10 * progress, 0.6, 0.2 + 0.6 * progress, *cover("wipe_right", taken))
    return [lower] if taken <= 0 else [upper] if taken >= 1 else [lower, upper]


def _composed(scene: _Scene, place: int, frames: int, fade: int, words: Patch) -> Nv12:
    return scene.compositor.compose(_layers(scene, place, frames, fade), [(words, 0.9)])


def _picture(seed: int, width: int, height: int) -> Pixels:
    """The same colours and edges at any size."""
    dice = np.random.default_rng(seed)
    layers = [
        cv2.resize(dice.integers(0, 256, (rows, columns, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        for rows, columns in ((9, 16), (90, 160))
    ]
    return cv2.addWeighted(layers[0], 0.65, layers[1], 0.35, 0).astype(np.uint8)


def _caption(size: tuple[int, int]) -> Patch:
    width, height = size
    image = np.full((height // 10, width // 2, 4), (9, 11, 16, 168), np.uint8)
    where = (height // 20, height // 14)
    font, yellow = cv2.FONT_HERSHEY_SIMPLEX, (255, 209, 64, 255)
    cv2.putText(image, "the card against the CPU", where, font, height / 720, yellow, 2)
    return patch(image, width // 4, height * 8 // 10)


def psnr_db(one: Pixels, other: Pixels) -> float:
    """How alike two planes are; the more the better, 99 for the same."""
    squares = float(((one.astype(np.float32) - other) ** 2).mean())
    return 99.0 if squares == 0 else float(10 * np.log10(255**2 / squares))


def ssim(one: Pixels, other: Pixels) -> float:
    """Structural similarity of two planes (Wang and others, 2004): a Gaussian window of 1.5 pixels; 1 for the same."""

    def smooth(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5), np.float32)

    x, y = one.astype(np.float32), other.astype(np.float32)
    mean_x, mean_y = smooth(x), smooth(y)
    spread_x, spread_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
    together = smooth(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    alike = (2 * mean_x * mean_y + c1) * (2 * together + c2)
    return float((alike / ((mean_x**2 + mean_y**2 + c1) * (spread_x + spread_y + c2))).mean())
