"""Words of a request that look like paths and addresses: none of them becomes one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actors.rendering import styles
from schema.artifacts import Artifacts
from schema.errors import PermanentError, RefusedError
from schema.events import request
from schema.record.videos import Videos
from schema.settings.limits import Limits
from schema.settings.providers import Providers
from tests.fakes.orders import TEXT, bought
from tests.fakes.wire import KEYS

HOSTILE = (
    "../../../../etc/passwd", "/etc/passwd", "..\\..\\windows", "file:///etc/passwd", "http://169.254.169.254/latest/",
    "s3://bucket/key", "a/../../b", "%2e%2e%2fetc", "~root/.ssh", "$(id)", "`id`", "; rm -rf /", "default/../paper",
    "-o/etc/passwd", "local::file://x", ".", "..", "*", "?", "C:\\x", "x" * 200,
)  # fmt: skip
#: A closed port of this machine: whoever sends anything fails otherwise than by refusing.
NOWHERE = "http://127.0.0.1:9"


def _asked(**fields: str) -> request.Request:
    return request.parse({name.encode(): text.encode() for name, text in fields.items()}, Limits())


async def test_a_key_names_a_request_and_never_a_file(videos: Videos) -> None:
    for word in HOSTILE:
        asked = _asked(topic=word, key=word, notes=word, style=word, voice=word, own_field=word)
        accepted = await videos.accept(key=asked.key or "", priority=5, brief=asked.brief, traceparent="")
        assert re.fullmatch(r"[0-9]{6}-[a-z0-9]{8}", accepted.video)


def test_a_style_is_one_of_those_there_are() -> None:
    for word in HOSTILE:
        style = _asked(topic="Rivers", style=word).brief.style
        with pytest.raises(PermanentError, match="there is no style"):
            styles.named(style, "16:9")


@pytest.mark.parametrize("provider", ["elevenlabs", "google"])
async def test_a_voice_stands_in_no_address_unless_it_is_a_plain_name(tmp_path: Path, provider: str) -> None:
    urls = {f"{name}_base_url": NOWHERE for name in ("elevenlabs", "google")}
    settings = Providers(**{f"{name}_api_key": key for name, key in KEYS.items()}, **urls)  # type: ignore[arg-type] # fields by name
    for word in HOSTILE:
        voice = _asked(topic="Rivers", voice=word).brief.voice
        if re.fullmatch("x+", voice):
            continue  # strange, but a name
        order = type(bought(provider, settings).order)(TEXT, voice=voice)
        with pytest.raises(PermanentError, match="got the voice"):
            await bought(provider, settings, order).call(tmp_path)


def test_an_aspect_and_a_length_are_read_and_never_passed_on() -> None:
    for word in HOSTILE:
        for field in ("aspect", "length", "priority", "type"):
            with pytest.raises(RefusedError):
                _asked(topic="Rivers", **{field: word})


def test_a_path_of_a_document_stays_below_the_store(tmp_path: Path) -> None:
    """Also one that was written into the record by hand."""
    (tmp_path / "secret").write_text("x")
    (tmp_path / "store").mkdir()
    source = tmp_path / "source"
    source.write_text("y")
    store = Artifacts(str(tmp_path / "store"))
    for word in HOSTILE:
        try:
            kept = store.put(source, word)
        except ValueError:
            continue  # it said that the path leaves its folder
        assert (tmp_path / "store" / kept.path).resolve().is_relative_to(tmp_path / "store")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret", "source", "store"]
