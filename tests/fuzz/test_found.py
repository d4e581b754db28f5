"""What fuzzing found, each with its case made as small as it goes."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import httpx
import msgspec
import numpy as np
import pytest
from PIL import Image

from actors.providers.audio import alignment
from actors.providers.media.download import Downloads
from actors.providers.media.pexels import Pexels
from actors.providers.media.pictures import plain_copy
from actors.rendering.copying import copy
from actors.rendering.drawing import stills
from actors.rendering.drawing.clips import scout
from actors.rendering.inspecting.measuring import measure
from actors.rendering.order import ClipOrder
from actors.rendering.sound.voice import listen
from deploy.gateway.access import Access
from deploy.launch import procfile
from deploy.launch.data_directory import _FILE, addresses
from deploy.recovery import backups
from deploy.recovery.backups import BackupError
from schema.errors import BilledError, ConfigurationError, PermanentError, RateLimitedError, UnknownOutcomeError
from schema.events import command
from schema.settings.providers import Providers
from schema.settings.servers import Servers
from schema.settings.video import Video
from tests.fakes.orders import ORDERS
from tests.fakes.wire import Reply
from tests.fuzz.answers import Reader, reader
from tests.fuzz.media import _go_on, _unheard
from tests.fuzz.right import films
from tests.unit.rendering.clips_made import clip, corners
from tests.unit.rendering.orders import write_wav

Says = Callable[[Reply], Reply]
Readers = Callable[[str], Reader]


@pytest.fixture
def readers(tmp_path: Path) -> Iterator[Readers]:
    """Makes readers of a provider, one in a test."""
    made = []

    def make(provider: str) -> Reader:
        made.append(reader(provider, tmp_path))
        return made[-1].__enter__()

    yield make
    for one in made:
        one.__exit__(None, None, None)


def body(change: Callable[[Any], Any]) -> Says:
    """A right answer whose JSON was changed."""
    return lambda reply: msgspec.structs.replace(reply, body=json.dumps(change(json.loads(reply.body))).encode())


def raw(data: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Says:
    """Another body."""
    return lambda reply: msgspec.structs.replace(
        reply, status=status, body=data, headers={**reply.headers, **(headers or {})}
    )


def sound(change: Callable[[bytes], bytes]) -> Says:
    """A right answer of Google's whose WAV was changed."""
    return body(
        lambda told: told | {"audioContent": base64.b64encode(change(base64.b64decode(told["audioContent"]))).decode()}
    )


def written(**fields: object) -> Says:
    """A right answer of a model that wrote something else."""

    def change(told: Any) -> Any:  # noqa: ANN401 - JSON
        message = told["choices"][0]["message"]
        message["content"] = json.dumps(json.loads(message["content"]) | fields)
        return told

    return body(change)


_DEEP = b'{"x": ' + b"[" * 3000 + b"]" * 3000 + b"}"
_ONLY_DEEP = b"[" * 3000 + b"]" * 3000
_LIES = {"Content-Encoding": "gzip"}
_UNREADABLE: dict[str, tuple[str, Says]] = {
    "usage_is_a_number": ("openai", body(lambda told: told | {"usage": 0.5})),
    "usage_is_negative": ("openai", body(lambda told: told | {"usage": told["usage"] | {"completion_tokens": -1}})),
    "choices_is_a_number": ("openai", body(lambda told: told | {"choices": 0.1})),
    "a_choice_is_a_number": ("openai", body(lambda told: told | {"choices": [2]})),
    "content_is_true": ("openai", body(lambda told: told | {"choices": [{"message": {"content": True}}]})),
    "nested_too_deeply": ("elevenlabs", raw(_ONLY_DEEP)),
    "not_packed_as_it_says_elevenlabs": ("elevenlabs", raw(b"{}", headers=_LIES)),
    "not_packed_as_it_says_google": ("google", raw(b"{}", headers=_LIES)),
    "a_body_where_none_may_be": ("google", raw(b"{}", 204)),
    "an_error_that_is_a_text": ("google", raw(b'"no"', 500)),
}  # fmt: skip


@pytest.mark.parametrize(("provider", "says"), _UNREADABLE.values(), ids=_UNREADABLE.keys())
def test_an_answer_that_is_no_answer_of_its_provider_may_have_been_billed_and_ends_no_process(
    readers: Readers, provider: str, says: Says
) -> None:
    with pytest.raises(UnknownOutcomeError, match="it may have been billed"):
        readers(provider).read(ORDERS[provider], says)


_UNUSABLE: dict[str, tuple[str, Says]] = {
    "a_script_that_is_nested_too_deeply": (
        "openai",
        body(lambda told: told | {"choices": [{"message": {"content": _DEEP.decode()}}]}),
    ),
    "hits_that_are_not_utf_8": ("pexels", raw(b'{"photos": [{"url": "\xff"}]}')),
    "sound_in_letters_that_no_base64_has": ("elevenlabs", body(lambda told: told | {"audio_base64": "\u00e9"})),
    "a_wav_of_half_a_sample": (
        "google",
        sound(lambda wav: wav[:34] + b"\x08\x00" + wav[36:40] + b"\x03\x00\x00\x00abc"),
    ),
    "a_wav_whose_form_is_longer_than_the_file": (
        "google",
        sound(lambda wav: wav[:16] + b"\x40\x42\x0f\x00" + wav[20:]),
    ),
}


@pytest.mark.parametrize(("provider", "says"), _UNUSABLE.values(), ids=_UNUSABLE.keys())
def test_an_answer_of_no_use_is_billed_and_asked_for_again(readers: Readers, provider: str, says: Says) -> None:
    with pytest.raises(BilledError) as caught:
        readers(provider).read(ORDERS[provider], says)
    assert caught.value.another_may_do


def test_control_characters_of_a_model_reach_no_record_and_no_caption(readers: Readers) -> None:
    scene = {"narration": "Rivers\x00 bend.\x1b[0m", "heading": "A\x00", "search_terms": ["\x00", "river\x00"]}
    says = written(scenes=[scene], title="\x00Rivers", tags=["a\x00"], description="One.\nTwo\x00.", language="en\x00")
    script = readers("openai").read(ORDERS["openai"], says).result
    assert script.title == "Rivers"
    assert script.scenes[0].narration == "Rivers bend. [0m"
    assert script.scenes[0].search_terms == ("river",)
    assert (script.description, script.tags, script.language) == ("One.\nTwo .", ("a",), "en")


@pytest.mark.parametrize(("width", "height"), [(0, 100), (-5, 100), (100, 10**30), (1, 90_000)])
def test_a_hit_without_a_size_takes_no_other_with_it(readers: Readers, width: int, height: int) -> None:
    def change(told: Any) -> Any:  # noqa: ANN401 - JSON
        told["photos"][0] |= {"width": width, "height": height}
        return told

    hits = readers("pexels").read(ORDERS["pexels"], body(change)).result.hits
    assert len(hits) == (3 if width > 0 and height < 10**6 else 2)
    assert all(one.width > 0 and one.height > 0 for hit in hits for one in hit.renditions)


@pytest.mark.parametrize(
    "url", ["https://a:b/c", "https://[a/", "https://[1:2]/", "https://a\x00b/", "https://\udcff/", "\x00"]
)
async def test_an_address_of_a_picture_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["10.0.0.1"]

    with pytest.raises(PermanentError, match=r"got a file at|is not a public host"):
        await Downloads(Providers(), resolve=resolve).fetch(url, tmp_path / "file", kind="image")


def test_a_quota_that_never_begins_anew_is_waited_for_no_longer_than_a_month() -> None:
    pexels = Pexels(Providers(pexels_api_key="of-this-test"))
    pexels._note_quota(httpx.Headers({"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1e300"}))
    with pytest.raises(RateLimitedError) as caught:
        pexels._refuse_spent_quota()
    assert caught.value.retry_after_s == pytest.approx(31 * 86_400, abs=60)
    pexels._note_quota(httpx.Headers({"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "inf"}))
    pexels._refuse_spent_quota()


def test_a_wav_whose_head_promises_more_than_there_is_is_kept_as_long_as_it_is(readers: Readers) -> None:
    says = sound(lambda wav: wav[:40] + (10**9).to_bytes(4, "little") + wav[44:])
    assert readers("google").read(ORDERS["google"], says).result.duration_s < 10


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_no_number_is_no_time_of_a_word(odd: float) -> None:
    assert alignment.from_starts("one two", [0.1, odd], 1.0) is None
    assert alignment.from_characters("ab", ["a", "b"], [0.0, 0.1], [0.1, odd], 1.0) is None


@pytest.mark.parametrize("samples", [0, 1, 2, 500])
def test_a_sound_of_a_moment_is_not_listened_to(samples: int) -> None:
    words, timing = alignment.by_listening("one two", np.ones(samples, np.int16), 24_000, "en")
    assert ([word.text for word in words], timing) == (["one", "two"], "estimated")


def test_a_halt_whose_field_is_cut_at_a_blank_travels_as_it_is() -> None:
    found = command.parse({b"type": b"halt", b"by": b"a" * 199 + b" b"})
    fields = {name.encode(): text.encode() for name, text in command.to_fields(found).items()}
    assert command.parse(fields) == found


def test_an_origin_that_is_no_address_is_a_foreign_one() -> None:
    refused = Access(Servers()).refusal("POST", "/control", {"host": "localhost", "origin": "http://["}, "127.0.0.1")
    assert refused is not None
    assert refused.status == 403


def test_small_files_that_are_not_utf_8_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_bytes(b"web: \xff")
    with pytest.raises(ConfigurationError, match="Procfile is not UTF-8: byte 0xff at offset 5"):
        procfile.read(tmp_path / "Procfile")
    (tmp_path / backups.MANIFEST).write_bytes(b'{"kind": "\xff"}')
    with pytest.raises(BackupError, match="cannot be read"):
        backups.read(tmp_path)
    (tmp_path / _FILE).write_bytes(b'{"pid": 1, "redis_url": "\xff"}')
    assert addresses(tmp_path) is None


def test_a_clip_whose_title_is_not_utf_8_is_taken_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "old.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Caf\u00e9 in Lisbon"
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(25):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(corners(96, 64)(number / 25), format="rgb24")))
        container.mux(stream.encode(None))
    whole = path.read_bytes()
    assert "\u00e9".encode() in whole
    path.write_bytes(whole.replace("\u00e9".encode(), b"\xe9 "))
    assert scout(str(path)).length_s > 0.5


def test_a_picture_that_promises_four_gigabytes_is_asked_for_no_more_than_it_has(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("RGB", (700, 700)).save(path)
    whole = path.read_bytes()
    at = whole.index(b"IDAT") - 4
    path.write_bytes(whole[:at] + b"\xff\xff\xff\xf0" + whole[at + 4 :])
    tracemalloc.start()
    try:
        plain_copy(path, tmp_path / "plain.jpg", 640, 360)
        with contextlib.suppress(PermanentError):
            stills.load(str(path), 160, 90)
        most_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most_bytes < 100 << 20


def test_an_alignment_whose_characters_are_no_list_is_no_alignment(readers: Readers) -> None:
    says = body(lambda told: told | {"alignment": told["alignment"] | {"characters": {"a": 1}}})
    assert readers("elevenlabs").read(ORDERS["elevenlabs"], says).result.timing != "provider"


@pytest.mark.parametrize("rate_hz", [1, 1_073_789_840])
def test_a_sound_of_an_absurd_rate_takes_no_memory_and_no_time(tmp_path: Path, rate_hz: int) -> None:
    """Four bytes of a header: of the fast one a filter was made for half a minute, in 1.8 GB."""
    path = Path(write_wav(tmp_path / "voice.wav", np.full(24_000, 0.3)))
    whole = path.read_bytes()
    path.write_bytes(whole[:24] + rate_hz.to_bytes(4, "little") + whole[28:])
    with pytest.raises(
        PermanentError, match=rf"voice\.wav cannot be read: {rate_hz} samples a second, expected 4000 to"
    ):
        listen(str(path))


def test_a_track_that_nothing_here_decodes_is_refused_by_name(tmp_path: Path) -> None:
    path = Path(clip(tmp_path / "odd.mp4", corners(96, 64)))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(PermanentError, match=r"odd\.mp4"):
        copy(ClipOrder(str(path), str(tmp_path / "copy")), checkpoint=_go_on, progress=_unheard)


@pytest.mark.slow
def test_a_film_of_a_track_that_nothing_here_decodes_fails_its_inspection_in_words(tmp_path: Path) -> None:
    films(tmp_path)
    path = tmp_path / "first.mp4"
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(ValueError, match="a track of video in a form that nothing here decodes"):
        measure(str(path), Video(), _go_on, _unheard)
