"""Pictures and clips that are made to do harm: to fill the memory, or to have other files and programs opened."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from actors.providers.media.pictures import _opened, plain_copy
from actors.rendering.drawing.reels import Reel
from schema.errors import PermanentError

#: Its memory before and at its highest, in KiB, on one line; a process of its own, as a peak never goes down.
_PEAK = """
import resource, sys
from pathlib import Path
from actors.providers.media.pictures import plain_copy
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
made = plain_copy(Path(sys.argv[1]), Path(sys.argv[2]), 640, 360)
print(made is not None, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
ROOT = Path(__file__).parents[3]


def _png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 700), (100_001, 1_000)])
def test_a_picture_of_more_pixels_than_the_memory_has_is_refused_by_its_head(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(_png(*size, 8, 2, zlib.compress(b"\0" * 1000)))
    assert plain_copy(bomb, tmp_path / "out.jpg", 640, 360) is None
    assert not (tmp_path / "out.jpg").exists()


def test_a_grey_picture_of_16_bits_does_not_take_many_times_its_pixels(tmp_path: Path) -> None:
    """16 megapixels in some kilobytes; as floats they were 400 megabytes."""
    side, packer = 4_000, zlib.compressobj(1)
    rows = b"".join(packer.compress((b"\0" + b"\x40\x00" * side) * 100) for _ in range(side // 100)) + packer.flush()
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(_png(side, side, 16, 0, rows))
    done = subprocess.run(
        (sys.executable, "-c", _PEAK, str(bomb), str(tmp_path / "out.jpg")),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    made, kib = done.stdout.split()[-2:]
    assert made == "True"
    assert int(kib) >> 10 < 230, f"{int(kib) >> 10} MiB for {bomb.stat().st_size} bytes"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.eps"])
def test_a_picture_that_is_a_program_is_not_run(tmp_path: Path, name: str) -> None:
    """Pillow hands PostScript to Ghostscript where that is installed."""
    made = io.BytesIO()
    Image.new("RGB", (700, 700)).save(made, "EPS")
    (tmp_path / name).write_bytes(made.getvalue())
    assert plain_copy(tmp_path / name, tmp_path / "out.jpg", 640, 360) is None
    with pytest.raises(UnidentifiedImageError):  # not even looked at as what it is
        _opened(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile /etc/passwd\n",
        '<?xml version="1.0"?><MPD><Period><BaseURL>http://127.0.0.1:9/</BaseURL></Period></MPD>',
    ],
)
def test_a_clip_that_is_a_list_of_other_files_is_refused(tmp_path: Path, text: str) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_text(text)
    with pytest.raises(PermanentError, match="is not a clip that can be read"):
        Reel(str(clip))


def test_a_name_that_is_an_address_opens_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        for path in (
            f"http://{address}/x.mp4",
            f"tcp://{address}",
            "concat:/etc/passwd",
            "subfile:,,start,0,end,9,,:/x",
        ):
            with pytest.raises(PermanentError, match="is not a clip that can be read"):
                Reel(path)
        with pytest.raises(BlockingIOError):
            server.accept()
