from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from actors.rendering.drawing import stills
from schema.errors import PermanentError
from tests.unit.rendering.orders import picture


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header says that it is huge, without the pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR" + head, b"IDAT", b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def test_a_file_that_is_no_picture_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "octopus.jpg"
    path.write_text("<html>not found</html>")
    with pytest.raises(PermanentError, match=r"octopus\.jpg is not a picture"):
        stills.check(str(path))


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"gone\.png cannot be opened"):
        stills.check(str(tmp_path / "gone.png"))


def test_a_huge_picture_is_refused_before_it_is_decoded_and_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_of(20_000, 10_000))
    with pytest.raises(PermanentError, match=r"huge\.png has 20000 x 10000 pixels, 200 megapixels: at most 100"):
        stills.check(str(path))


def test_a_picture_that_is_cut_short_is_refused_by_name(tmp_path: Path) -> None:
    path = Path(picture(tmp_path / "short.png", 1))
    path.write_bytes(path.read_bytes()[:5000])
    stills.check(str(path))
    with pytest.raises(PermanentError, match=r"short\.png cannot be decoded"):
        stills.load(str(path), 640, 360)


@pytest.mark.parametrize("size", [(900, 300), (300, 900), (640, 360), (3, 2), (1, 1)])
def test_any_shape_of_picture_fills_the_frame(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (200, 30, 60)).save(tmp_path / "any.png")
    pixels = stills.load(str(tmp_path / "any.png"), 640, 360)
    assert pixels.shape == (360, 640, 3)
    assert np.abs(pixels.astype(int) - (200, 30, 60)).max() <= 1


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (400, 200), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 200, 200))  # left half white; turned by 90 degrees: upper half white
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    pixels = stills.load(str(tmp_path / "turned.jpg"), 100, 200)
    assert pixels[:80].min() > 240
    assert pixels[120:].max() < 15


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "I;16", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("any.tif" if mode == "CMYK" else "any.png")
    Image.new(mode, (64, 36)).save(path)
    assert stills.load(str(path), 64, 36).shape == (36, 64, 3)
