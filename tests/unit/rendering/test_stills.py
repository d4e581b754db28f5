from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from actors.rendering.drawing import interest, stills
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


def test_a_jpeg_that_is_cut_short_is_found_before_the_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "short.jpg"
    Image.effect_noise((640, 480), 90).convert("RGB").save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PermanentError, match=r"short\.jpg cannot be decoded: image file is truncated"):
        interest.find(str(path))


def test_a_file_of_a_kind_that_would_start_another_program_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "drawing.eps"
    Image.new("RGB", (64, 36)).save(path)
    with pytest.raises(PermanentError, match=r"drawing\.eps is not a picture"):
        stills.load(str(path), 64, 36)


@pytest.mark.parametrize("size", [(900, 300), (300, 900), (640, 360), (3, 2), (1, 1), (10_000, 10), (10, 10_000)])
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


def test_sixteen_bits_of_grey_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    Image.fromarray(np.full((36, 64), 30_000, np.uint16)).save(tmp_path / "deep.png")
    assert np.abs(stills.load(str(tmp_path / "deep.png"), 64, 36).astype(int) - 30_000 / 257).max() <= 1


def test_a_transparent_picture_is_turned_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGBA", (400, 200), (10, 200, 30, 255)).save(tmp_path / "turned.png", exif=exif)
    assert stills.thumbnail(str(tmp_path / "turned.png"), 64)[1] == 0.5


def test_of_an_animated_picture_the_first_is_shown(tmp_path: Path) -> None:
    later = Image.new("RGB", (64, 36), (30, 200, 30))
    Image.new("RGB", (64, 36), (200, 30, 30)).save(tmp_path / "moving.gif", save_all=True, append_images=[later])
    assert np.abs(stills.load(str(tmp_path / "moving.gif"), 64, 36).astype(int) - (200, 30, 30)).max() <= 3


def test_a_large_picture_is_made_smaller_before_it_is_held_twice(tmp_path: Path) -> None:
    drawn = Image.linear_gradient("L").resize((2048, 1024)).convert("RGB")
    drawn.save(tmp_path / "large.png", compress_level=1)
    wanted = np.asarray(drawn.resize((64, 32), Image.Resampling.BOX)).astype(int)
    assert np.abs(stills.load(str(tmp_path / "large.png"), 64, 32) - wanted).max() <= 2


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "I;16", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("any.tif" if mode == "CMYK" else "any.png")
    Image.new(mode, (64, 36)).save(path)
    assert stills.load(str(path), 64, 36).shape == (36, 64, 3)
