import struct
import zlib
from pathlib import Path

import pytest
import structlog
from PIL import Image

from actors.providers.media.folder import find
from actors.providers.ports import Found
from schema.documents import Scene, Script
from schema.errors import ConfigurationError

RED, GREEN, BLUE = (200, 20, 20), (20, 200, 20), (20, 20, 200)


def _never() -> None:
    """Never stop."""


def _save(
    path: Path, color: tuple[int, ...], size: tuple[int, int] = (960, 640), mode: str = "RGB", turned: int = 1
) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    exif[0x013B] = "Somebody"
    Image.new(mode, size, color).save(path, exif=exif, comment=b"at home")


def _find(folder: Path, out: Path, *terms: str, seed: int = 0) -> list[Found] | None:
    out.mkdir(exist_ok=True)
    scenes = tuple(Scene("words", search_terms=(term,)) for term in terms)
    return find(Script("t", scenes), folder, out, width=2304, height=1296, seed=seed, checkpoint=_never)


def _color(found: Found) -> str:
    with Image.open(found.path) as picture:
        pixel = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return ("red", "green", "blue")[pixel.index(max(pixel))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "own"
    path.mkdir()
    return path


def test_pictures_are_chosen_by_the_words_of_their_names_and_otherwise_in_turn(folder: Path, tmp_path: Path) -> None:
    _save(folder / "a_glacier-01.jpg", RED)
    _save(folder / "b_forest.PNG", GREEN)
    _save(folder / "c_lake.webp", BLUE)
    found = _find(folder, tmp_path / "out", "lake", "glaciers", "nothing", "nothing")
    assert found is not None
    assert [_color(picture) for picture in found] == ["blue", "red", "green", "red"]
    assert [picture.scene for picture in found] == [0, 1, 2, 3]


def test_an_empty_folder_gives_nothing_and_a_missing_one_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").write_text("no picture")
    assert _find(folder, tmp_path / "out", "x") is None
    with pytest.raises(ConfigurationError, match="nowhere"):
        _find(tmp_path / "nowhere", tmp_path / "out", "x")


def test_broken_tiny_and_huge_pictures_are_passed_over_with_the_reason(folder: Path, tmp_path: Path) -> None:
    (folder / "a_broken.jpg").write_bytes(b"\xff\xd8 this is no picture")
    _save(folder / "b_tiny.png", RED, size=(2000, 639))
    header = b"IHDR" + struct.pack(">IIBBBBB", 11_000, 10_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (folder / "c_huge.png").write_bytes(png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    _save(folder / "d_good.jpg", BLUE)
    whole = (folder / "d_good.jpg").read_bytes()
    (folder / "e_cut.jpg").write_bytes(whole[: len(whole) // 2])
    with structlog.testing.capture_logs() as logs:
        found = _find(folder, tmp_path / "out", "broken", "tiny", "huge", "cut")
    assert found is not None
    assert [_color(picture) for picture in found] == ["blue"] * 4
    reasons = {line["file"]: line["reason"] for line in logs}
    assert set(reasons) == {"a_broken.jpg", "b_tiny.png", "c_huge.png", "e_cut.jpg"}
    assert "2000x639" in reasons["b_tiny.png"]
    assert "11000x10000" in reasons["c_huge.png"]


def test_what_the_camera_turned_is_turned_back_and_its_notes_are_gone(folder: Path, tmp_path: Path) -> None:
    _save(folder / "a.jpg", RED, size=(960, 640), turned=6)
    found = _find(folder, tmp_path / "out", "x")
    assert found is not None
    assert (found[0].width, found[0].height) == (640, 960)
    with Image.open(found[0].path) as picture:
        assert not picture.getexif()
        assert "comment" not in picture.info


def test_large_pictures_are_made_no_larger_than_a_film_can_show(folder: Path, tmp_path: Path) -> None:
    _save(folder / "a.jpg", RED, size=(6000, 3000))
    found = _find(folder, tmp_path / "out", "x")
    assert found is not None
    assert (found[0].width, found[0].height) == (2592, 1296)


def test_transparent_and_gray_pictures_become_plain_ones(folder: Path, tmp_path: Path) -> None:
    _save(folder / "a.png", (20, 20, 200, 128), mode="RGBA")
    Image.new("L", (960, 640), 80).save(folder / "b.png")
    found = _find(folder, tmp_path / "out", "x", "y")
    assert found is not None
    for picture in found:
        with Image.open(picture.path) as opened:
            assert opened.mode == "RGB"


def test_the_seed_says_where_the_turn_begins(folder: Path, tmp_path: Path) -> None:
    _save(folder / "a.jpg", RED)
    _save(folder / "b.jpg", GREEN)
    found = _find(folder, tmp_path / "out", "x", seed=1)
    assert found is not None
    assert _color(found[0]) == "green"
