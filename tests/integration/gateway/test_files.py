"""Files of a finished video over HTTP, whole and in ranges, and what a player and a careless client may ask."""

from __future__ import annotations

from pathlib import Path

import httpx
import msgspec
import pytest

from schema.documents import ArtifactRef, Verdict
from tests.integration.gateway.conftest import Gateway
from tests.integration.record.conftest import execute

_FILM = bytes(range(256)) * 4


async def _finish(gateway: Gateway, tmp_path: Path) -> tuple[str, ArtifactRef]:
    """A video with all its files."""
    video = await gateway.submit()
    refs = []
    for suffix, content in (
        ("mp4", _FILM),
        ("srt", b"1\n"),
        ("vtt", b"WEBVTT\n"),
        ("jpg", b"\xff\xd8"),
        ("png", b"\x89P"),
    ):
        (tmp_path / f"made.{suffix}").write_bytes(content)
        refs.append(gateway.process.artifacts.put(tmp_path / f"made.{suffix}", f"videos/{video}.{suffix}"))
    verdict = msgspec.json.encode(Verdict(passed=True, findings=(), video=refs[0], beside=tuple(refs[1:])))
    await execute(
        gateway.process.postgres,
        """INSERT INTO video_stages (video_id, stage, attempt, status, output, ended_at)
           VALUES ($1, 'quality', 1, 'done', $2, now())""",
        video,
        msgspec.Raw(verdict),
    )
    return video, refs[0]


@pytest.fixture
async def finished(gateway: Gateway, tmp_path: Path) -> tuple[str, ArtifactRef]:
    return await _finish(gateway, tmp_path)


async def test_every_file_is_named_in_the_story_and_served_as_what_it_is(
    gateway: Gateway, finished: tuple[str, ArtifactRef]
) -> None:
    video, _ = finished
    links = (await gateway.ask.get(f"/videos/{video}")).json()["files"]
    assert links == {name: f"/videos/{video}/{name}" for name in ("film", "srt", "vtt", "thumbnail", "sheet")}
    kinds = {name: (await gateway.ask.get(link)).headers["content-type"] for name, link in links.items()}
    assert kinds == {
        "film": "video/mp4",
        "srt": "application/x-subrip",
        "vtt": "text/vtt; charset=utf-8",
        "thumbnail": "image/jpeg",
        "sheet": "image/png",
    }
    download = await gateway.ask.get(f"/videos/{video}/film?download=true")
    assert download.headers["content-disposition"] == f'attachment; filename="{video}.mp4"'
    assert download.content == _FILM
    missing = await gateway.ask.get(f"/videos/{video}/draft")
    assert (missing.status_code, missing.json()["error"]) == (
        404,
        f"{video} has no 'draft': it has film, srt, vtt, thumbnail, sheet",
    )


async def test_a_range_is_what_was_asked_for_or_why_not(gateway: Gateway, finished: tuple[str, ArtifactRef]) -> None:
    video, ref = finished
    url, size = f"/videos/{video}/film", len(_FILM)

    async def ask(**headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return await gateway.ask.get(url, headers=named)

    for asked, first, last in (
        ("0-0", 0, 0),
        ("10-19", 10, 19),
        ("-24", size - 24, size - 1),
        ("1000-", 1000, size - 1),
    ):
        part = await ask(range=f"bytes={asked}")
        assert (part.status_code, part.content) == (206, _FILM[first : last + 1]), asked
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
        assert part.headers["content-length"] == str(last - first + 1)
    for asked in (f"{size}-", "999999999999999999999999-", "-0"):
        beyond = await ask(range=f"bytes={asked}")
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}"), asked
        assert f"the file has {size} bytes" in beyond.json()["error"]
    etag = (await ask()).headers["etag"]
    for whole in (
        {"range": "bytes=0-1,5-6"},
        {"range": "lines=0-1"},
        {"range": "bytes=5-2"},
        {"range": "bytes=0-1", "if_range": '"another"'},
    ):
        answer = await ask(**whole)
        assert (answer.status_code, answer.content, answer.headers["accept-ranges"]) == (200, _FILM, "bytes"), whole
    assert (await ask(range="bytes=0-1", if_range=etag)).status_code == 206
    kept = await ask(if_none_match=etag)
    assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", etag)
    head = await gateway.ask.head(url, headers={"range": "bytes=0-9"})
    assert (head.status_code, head.content, head.headers["content-length"]) == (206, b"", "10")
    whole_head = await gateway.ask.head(url)
    assert (whole_head.status_code, whole_head.headers["content-length"], whole_head.headers["etag"]) == (
        200,
        str(size),
        f'"{ref.sha256[:32]}"',
    )


async def test_a_file_that_is_gone_or_has_changed_is_not_served(
    gateway: Gateway, finished: tuple[str, ArtifactRef], tmp_path: Path
) -> None:
    video, ref = finished
    stored = tmp_path / ref.path
    stored.write_bytes(b"shorter")
    changed = await gateway.ask.get(f"/videos/{video}/film")
    assert (changed.status_code, "has changed" in changed.json()["error"]) == (404, True)
    stored.unlink()
    gone = await gateway.ask.get(f"/videos/{video}/film", headers={"range": "bytes=0-1"})
    assert (gone.status_code, "cannot be read" in gone.json()["error"]) == (404, True)
