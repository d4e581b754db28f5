"""The two voices against their fakes: the sound, when each word is spoken, what is billed."""

from __future__ import annotations

import itertools
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from actors.providers.audio.reading import caption_words
from actors.providers.ports import SpeechOrder, Utterance
from schema.errors import ConfigurationError, PermanentError
from tests.fakes import tones
from tests.fakes.faults import Fault
from tests.fakes.orders import TEXT, bought
from tests.fakes.running import Fakes

VOICES = ("elevenlabs", "google")
HARD = 'In 2019, "Dr. Smith" paid $5 & left <the> house \u2013 at 5:30.'


@pytest.mark.parametrize("provider", VOICES)
@pytest.mark.parametrize("text", [TEXT, HARD])
async def test_each_word_is_timed_by_the_provider(fakes: Fakes, tmp_path: Path, provider: str, text: str) -> None:
    answer = await bought(provider, fakes.settings(), SpeechOrder(text, voice="default")).call(tmp_path)
    said = answer.result
    assert isinstance(said, Utterance)
    assert said.timing == "provider"
    assert [word.text for word in said.words] == caption_words(text)
    assert all(one.end_s <= other.start_s for one, other in itertools.pairwise(said.words))
    with wave.open(str(tmp_path / said.wav)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, said.sample_rate_hz)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert said.duration_s == len(samples) / said.sample_rate_hz
    assert said.words[-1].end_s <= said.duration_s
    made = tones.spoken(text)
    places = [text.index(word.text.split()[0]) for word in said.words[:3]]
    assert [word.start_s for word in said.words[:3]] == pytest.approx([made.starts_s[place] for place in places])


@pytest.mark.parametrize("provider", VOICES)
async def test_what_is_billed_is_settled_and_within_the_bound(fakes: Fakes, tmp_path: Path, provider: str) -> None:
    one = bought(provider, fakes.settings(), SpeechOrder(HARD, voice="default"))
    answer = await one.call(tmp_path)
    assert [line.billed for line in fakes.lines()] == [answer.used]
    assert answer.used["characters"] <= one.adapter.worst_case(one.order)["characters"]


@pytest.mark.parametrize("provider", VOICES)
async def test_a_voice_without_times_is_listened_to(fakes: Fakes, tmp_path: Path, provider: str) -> None:
    fakes.order(Fault(provider, "no_timings"))  # type: ignore[arg-type]
    answer = await bought(provider, fakes.settings()).call(tmp_path)
    assert answer.result.timing in {"aligned", "estimated"}
    assert [word.text for word in answer.result.words] == caption_words(TEXT)


async def test_the_neighbours_are_not_billed(fakes: Fakes, tmp_path: Path) -> None:
    alone = await bought("elevenlabs", fakes.settings(), SpeechOrder(TEXT, voice="default")).call(tmp_path)
    beside = SpeechOrder(TEXT, voice="default", before="x" * 500, after="y" * 500)
    assert (await bought("elevenlabs", fakes.settings(), beside).call(tmp_path)).used == alone.used


@pytest.mark.parametrize("provider", VOICES)
async def test_a_faster_voice_is_shorter(fakes: Fakes, tmp_path: Path, provider: str) -> None:
    settings = fakes.settings()
    usual = await bought(provider, settings, SpeechOrder(TEXT, voice="default")).call(tmp_path)
    fast = await bought(provider, settings, SpeechOrder(TEXT, voice="default", speed=1.2)).call(tmp_path)
    assert fast.result.duration_s == pytest.approx((usual.result.duration_s - 0.2) / 1.2 + 0.2, abs=0.01)


@pytest.mark.parametrize("provider", VOICES)
async def test_economy_speaks_with_the_cheaper_model(fakes: Fakes, tmp_path: Path, provider: str) -> None:
    await bought(provider, fakes.settings(), economy=True).call(tmp_path)
    (line,) = fakes.lines()
    assert line.model in {"eleven_flash_v2_5", "en-US-Standard-F"}


@pytest.mark.parametrize("provider", VOICES)
async def test_a_scene_that_is_too_long_is_not_sent(fakes: Fakes, tmp_path: Path, provider: str) -> None:
    with pytest.raises(PermanentError, match="expected at most") as caught:
        await bought(provider, fakes.settings(), SpeechOrder("word " * 1200, voice="default")).call(tmp_path)
    assert caught.value.hint == "split the scene"
    assert fakes.lines() == []


async def test_a_voice_that_would_lead_elsewhere_is_not_sent(fakes: Fakes, tmp_path: Path) -> None:
    for voice in ("../../v1/user", "a/b", "", "en-US-Neural2-F"):
        with pytest.raises(PermanentError, match="expected an id"):
            await bought("elevenlabs", fakes.settings(), SpeechOrder(TEXT, voice=voice)).call(tmp_path)
    assert fakes.lines() == []


async def test_a_google_voice_of_a_dearer_kind_is_not_sent(fakes: Fakes, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="expected one of the kind neural2"):
        await bought("google", fakes.settings(), SpeechOrder(TEXT, voice="en-US-Studio-O")).call(tmp_path)
    assert fakes.lines() == []


async def test_a_service_account_speaks_without_a_key(fakes: Fakes, tmp_path: Path) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = tmp_path / "account.json"
    fields = {
        "type": "service_account",
        "client_email": "films@example.org",
        "private_key": private.decode(),
        "private_key_id": "1",
        "token_uri": "http://127.0.0.1:9/token",
    }
    account.write_text(json.dumps(fields))
    settings = fakes.settings(google_api_key="", google_application_credentials=str(account))
    out = tmp_path / "out"
    out.mkdir()
    assert (await bought("google", settings).call(out)).result.words


def test_a_service_account_that_cannot_be_read_is_said_to_be_so(fakes: Fakes, tmp_path: Path) -> None:
    (tmp_path / "account.json").write_text("{}")
    for path in (tmp_path / "account.json", tmp_path / "none.json"):
        settings = fakes.settings(google_api_key="", google_application_credentials=str(path))
        with pytest.raises(ConfigurationError, match="cannot read the Google service account"):
            bought("google", settings)


@pytest.mark.parametrize("provider", ["pexels", "elevenlabs", "google"])
def test_a_provider_without_its_key_is_not_configured(fakes: Fakes, provider: str) -> None:
    with pytest.raises(ConfigurationError, match="has no key"):
        bought(provider, fakes.settings(**{f"{provider}_api_key": ""}))
