"""Pexels and the files it names, against their fake: hits, credit, quota, and downloads that can be decoded."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import av
import pytest
from PIL import Image

from actors.providers.media.download import Downloads
from actors.providers.media.pexels import LICENCE, Pexels
from actors.providers.ports import Hit, Rendition, SearchOrder
from schema.errors import BilledError, PermanentError, RateLimitedError, RetryableError
from tests.fakes.clocks import HandClock
from tests.fakes.faults import Fault
from tests.fakes.orders import Bought, bought
from tests.fakes.running import Fakes


def left(folder: Path) -> list[str]:
    """What lies in a folder."""
    return [path.name for path in folder.iterdir()]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def found(fakes: Fakes, order: SearchOrder) -> tuple[Hit, ...]:
    hits: tuple[Hit, ...] = (await bought("pexels", fakes.settings(), order).call(Path())).result.hits
    return hits


@pytest.mark.parametrize("orientation", ["landscape", "portrait"])
@pytest.mark.parametrize("kind", ["photo", "video"])
async def test_a_hit_says_whom_to_credit_and_can_be_fetched_and_decoded(
    fakes: Fakes, tmp_path: Path, kind: str, orientation: str
) -> None:
    hits = await found(fakes, SearchOrder("waves", kind, orientation, 2))  # type: ignore[arg-type]
    assert len({hit.id for hit in hits}) == 2
    hit = hits[0]
    assert (hit.kind, hit.licence) == (kind, LICENCE)
    assert hit.credit.endswith(f" on Pexels ({hit.page_url})")
    small = hit.renditions[0]
    path = tmp_path / "file"
    fetched = await Downloads(fakes.settings()).fetch(small.url, path, kind="image" if kind == "photo" else "video")
    assert fetched.sha256 == sha256(path)
    assert (small.width < small.height) is (orientation == "portrait")
    if kind == "photo":
        with Image.open(path) as picture:
            picture.load()
            assert picture.size == (small.width, small.height)
    else:
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
        assert (frames[0].width, frames[0].height, len(frames)) == (small.width, small.height, 75)
        assert hit.duration_s == 5
    assert left(tmp_path) == ["file"]


def test_the_smallest_file_that_fills_the_frame_is_chosen() -> None:
    sizes = [(640, 360), (1280, 720), (1920, 1080)]
    hit = Hit("1", "video", "", tuple(Rendition(str(width), width, height) for width, height in sizes), "", "")
    assert hit.rendition_for(1000, 600).url == "1280"
    assert hit.rendition_for(4000, 600).url == "1920"


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        (((640, 360), (1280, 720), (1920, 1080), (3840, 2160)), (1920, 1080)),
        (((1280, 720), (3840, 2160)), (1280, 720)),
        (((640, 360), (2560, 1440), (3840, 2160)), (2560, 1440)),
        (((426, 240), (640, 360)), (640, 360)),
    ],
)
def test_a_clip_is_fetched_in_the_size_nearest_to_the_frame(
    sizes: tuple[tuple[int, int], ...], chosen: tuple[int, int]
) -> None:
    hit = Hit("1", "video", "", tuple(Rendition("", *size) for size in sizes), "", "")
    rendition = hit.clip_for(1920, 1080)
    assert (rendition.width, rendition.height) == chosen


async def test_an_empty_search_says_which_terms_found_nothing(fakes: Fakes) -> None:
    with pytest.raises(BilledError, match="found no photo for 'nothing at all'") as caught:
        await found(fakes, SearchOrder("nothing at all", "photo", "landscape", 3))
    assert (caught.value.used, caught.value.hint) == ({"requests": 1}, "use plainer search terms")
    assert len(fakes.lines()) == 1


async def test_a_spent_quota_sends_nothing_until_it_begins_anew(fakes: Fakes, tmp_path: Path) -> None:
    clock = HandClock()
    pexels = Pexels(fakes.settings(), clock=clock)
    one = Bought(pexels, SearchOrder("waves", "photo", "landscape", 1))
    fakes.order(Fault("pexels", "spent_quota"))
    await one.call(tmp_path)
    with pytest.raises(RateLimitedError, match="nothing was sent") as caught:
        await one.call(tmp_path)
    assert caught.value.retry_after_s == pytest.approx(30 * 86_400, abs=5)
    assert len(fakes.lines()) == 1
    clock.advance(timedelta(days=31))
    await one.call(tmp_path)
    assert len(fakes.lines()) == 2


async def test_a_file_that_is_no_picture_is_refused(fakes: Fakes, tmp_path: Path) -> None:
    url = f"{fakes.origin}/media/photos/1/640x480.jpeg"
    fakes.order(Fault("media", "wrong_form"))
    with pytest.raises(PermanentError, match="got an unknown kind of file"):
        await Downloads(fakes.settings()).fetch(url, tmp_path / "file", kind="image")
    with pytest.raises(PermanentError, match="got image/jpeg"):
        await Downloads(fakes.settings()).fetch(url, tmp_path / "file", kind="video")
    assert left(tmp_path) == []


async def test_a_file_that_is_too_large_is_refused(fakes: Fakes, tmp_path: Path) -> None:
    downloads = Downloads(fakes.settings(download_max_bytes=1000))
    url = f"{fakes.origin}/media/photos/1/640x480.jpeg"
    with pytest.raises(PermanentError, match="more than 1000 bytes"):
        await downloads.fetch(url, tmp_path / "file", kind="image")
    assert left(tmp_path) == []


@pytest.mark.parametrize("kind", ["slow_drip", "hang", "reset_after", "server_error"])
async def test_a_file_that_does_not_come_may_come_later(fakes: Fakes, tmp_path: Path, kind: str) -> None:
    limit_s = 1.0 if kind in {"slow_drip", "hang"} else 20.0
    fakes.order(Fault("media", kind, seconds=0.05))  # type: ignore[arg-type]
    with pytest.raises(RetryableError):
        await Downloads(fakes.settings(download_timeout_s=limit_s)).fetch(
            f"{fakes.origin}/media/photos/1/640x480.jpeg", tmp_path / "file", kind="image"
        )
    assert left(tmp_path) == []


async def test_a_redirect_to_a_private_address_is_not_followed(fakes: Fakes, tmp_path: Path) -> None:
    fakes.order(Fault("media", "redirect"))
    with pytest.raises(PermanentError, match="expected https"):
        await Downloads(fakes.settings()).fetch(
            f"{fakes.origin}/media/photos/1/640x480.jpeg", tmp_path / "f", kind="image"
        )


async def test_a_loopback_address_that_no_setting_names_is_refused(fakes: Fakes, tmp_path: Path) -> None:
    url = f"{fakes.origin}/media/photos/1/640x480.jpeg"
    settings = fakes.settings(pexels_base_url="https://api.pexels.com")
    for address in (
        url,
        url.replace("http:", "https:"),
        url.replace("127.0.0.1", "localhost").replace("http:", "https:"),
    ):
        with pytest.raises(PermanentError):
            await Downloads(settings).fetch(address, tmp_path / "file", kind="image")
    assert fakes.lines() == []
