"""Pexels: GET /v1/search and /v1/videos/search, in the form of its public documentation.

That has no version; paths and fields follow it as it was in March 2026, by an OpenAPI rendering that others made of it.

Every search finds as much as it asks for, but for terms that hold the word `nothing`. The files lie at /media.
"""

from __future__ import annotations

import time
import zlib
from typing import Any

from tests.fakes import pictures
from tests.fakes.faults import Provider
from tests.fakes.wire import KEYS, Call, Reply, as_json

NOTHING = "nothing"
_QUOTA = 20_000
_MONTH_S = 30 * 86_400
_PHOTO = {"landscape": (1920, 1280), "portrait": (1280, 1920)}
_CLIPS = {"landscape": ((640, 360), (1280, 720)), "portrait": ((360, 640), (720, 1280))}


class PexelsSearch:
    """The fake of Pexels."""

    name: Provider = "pexels"

    def __init__(self) -> None:
        self._left = _QUOTA

    def answer(self, call: Call) -> Reply:
        """A page of hits."""
        if call.headers.get("authorization") != KEYS["pexels"]:
            return self.failure(401, "wrong_key")
        if call.path not in {"/v1/search", "/v1/videos/search"}:
            return self.failure(404, "bad_model")
        self._left -= 1
        left = 0 if call.is_told("spent_quota") else self._left
        terms, orientation = call.query.get("query", ""), call.query.get("orientation", "landscape")
        count = int(call.query.get("per_page", "15"))
        if call.is_told("empty") or NOTHING in terms.split() or not terms:
            count = 0
        first = zlib.crc32(terms.encode()) % 100_000 * 100
        numbers = range(first, first + count)
        page: dict[str, Any] = {"page": 1, "per_page": count, "total_results": count}
        if call.path == "/v1/search":
            page["photos"] = [_photo(call.origin, number, *_PHOTO[orientation]) for number in numbers]
        else:
            page |= {
                "url": f"https://www.pexels.com/search/videos/{terms}/",
                "videos": [_video(call.origin, number, _CLIPS[orientation]) for number in numbers],
            }
        if call.is_told("wrong_form"):
            page = {"photos": [{"id": "not a number"}], "videos": [{"id": "not a number"}]}
        headers = {
            "X-Ratelimit-Limit": str(_QUOTA),
            "X-Ratelimit-Remaining": str(left),
            "X-Ratelimit-Reset": str(int(time.time()) + _MONTH_S),
        }
        return Reply(200, as_json(page), billed={"requests": 1}, model="search", headers=headers)

    def failure(self, status: int, kind: str) -> Reply:
        """Its errors, which it does not document; 429 comes without the headers of the quota."""
        match kind:
            case "wrong_key":
                return Reply(401, as_json({"status": 401, "code": "Unauthorized"}))
            case "bad_model":
                return Reply(404, as_json({"status": 404, "error": "Not Found"}))
            case "rate_limited" | "no_credit":
                return Reply(429, as_json({"status": 429, "code": "Too Many Requests"}))
            case _:
                return Reply(status, as_json({"status": status, "error": "Internal Server Error"}))


class Files:
    """Where the files lie that a search finds: /photos/NUMBER/WIDTHxHEIGHT.jpeg and /clips/NUMBER/WIDTHxHEIGHT.mp4."""

    name: Provider = "media"

    def answer(self, call: Call) -> Reply:
        """The file."""
        kind, number, size = call.path.strip("/").split("/")
        width, height = map(int, size.split(".")[0].split("x"))
        if call.is_told("redirect"):
            return Reply(302, b"", headers={"Location": "http://169.254.169.254/latest/meta-data/"})
        if call.is_told("wrong_form"):
            return Reply(200, b"<html>no picture</html>", media_type="image/jpeg")
        if kind == "photos":
            return Reply(200, pictures.photo(int(number), width, height), media_type="image/jpeg")
        return Reply(200, pictures.clip(int(number) % 3, width, height), media_type="video/mp4")

    def failure(self, status: int, kind: str) -> Reply:  # noqa: ARG002 - a file server has one form for all
        """A page that says so."""
        return Reply(status, b"no file", media_type="text/plain")


def _photo(origin: str, number: int, width: int, height: int) -> dict[str, Any]:
    large = min(1880 / width, 1300 / height)
    files = f"{origin}/media/photos/{number}"
    names = ("large", "medium", "small", "portrait", "landscape", "tiny")
    return {
        "id": number,
        "width": width,
        "height": height,
        "url": f"https://www.pexels.com/photo/view-{number}/",
        "photographer": f"Ansel {number % 10}",
        "photographer_url": f"https://www.pexels.com/@ansel-{number % 10}",
        "photographer_id": number % 10,
        "avg_color": "#808080",
        "src": {
            "original": f"{files}/{width}x{height}.jpeg",
            "large2x": f"{files}/{int(width * large)}x{int(height * large)}.jpeg",
        }
        | dict.fromkeys(names, f"{files}/{width // 4}x{height // 4}.jpeg"),
        "liked": False,
        "alt": "Soft colours",
    }


def _video(origin: str, number: int, sizes: tuple[tuple[int, int], ...]) -> dict[str, Any]:
    width, height = sizes[-1]
    return {
        "id": number,
        "width": width,
        "height": height,
        "url": f"https://www.pexels.com/video/{number}/",
        "image": f"{origin}/media/photos/{number}/{width}x{height}.jpeg",
        "duration": 5,
        "user": {"id": number % 10, "name": f"Agnes {number % 10}", "url": "https://www.pexels.com/@agnes"},
        "video_files": [
            {
                "id": number * 10 + place,
                "quality": "hd" if max(size) >= 1280 else "sd",
                "file_type": "video/mp4",
                "width": size[0],
                "height": size[1],
                "fps": 25.0,
                "link": f"{origin}/media/clips/{number}/{size[0]}x{size[1]}.mp4",
            }
            for place, size in reversed(list(enumerate(sizes)))
        ],
        "video_pictures": [],
    }
