"""What the fakes answer has the form that the providers' own clients describe, field by field, nothing unknown."""

from __future__ import annotations

from typing import Any

import pytest
from elevenlabs import AudioWithTimestampsResponse
from google.cloud import texttospeech_v1beta1 as tts
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from actors.providers.script.prompt import SCHEMA
from tests.fakes.elevenlabs_speech import VOICES, ElevenLabsSpeech
from tests.fakes.google_speech import GoogleSpeech
from tests.fakes.openai_chat import OpenAIChat
from tests.fakes.wire import KEYS, Call, FakeProvider, as_json


def answer(fake: FakeProvider, path: str, body: dict[str, Any], headers: dict[str, str], **query: str) -> bytes:
    """What a fake says to a right request."""
    call = Call(path, query, headers, as_json(body), "http://127.0.0.1:1", None)
    reply = fake.answer(call)
    assert reply.status == 200
    return reply.body


def unknown(model: BaseModel) -> list[str]:
    """Fields that the client's type does not know, nested ones too."""
    found = list(model.model_extra or ())
    for value in dict(model).values():
        for inner in value if isinstance(value, list) else [value]:
            found += unknown(inner) if isinstance(inner, BaseModel) else []
    return found


def test_a_completion() -> None:
    body = {
        "model": "gpt-5.4",
        "messages": [{"role": "user", "content": "Topic: tides"}],
        "max_completion_tokens": 1000,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": SCHEMA}},
    }
    headers = {"authorization": f"Bearer {KEYS['openai']}"}
    completion = ChatCompletion.model_validate_json(answer(OpenAIChat(), "/v1/chat/completions", body, headers))
    assert unknown(completion) == []


def test_speech_with_the_times_of_its_characters() -> None:
    path = f"/v1/text-to-speech/{VOICES[0]}/with-timestamps"
    body = {"text": "Tides.", "model_id": "eleven_v3"}
    headers = {"xi-api-key": KEYS["elevenlabs"]}
    said = answer(ElevenLabsSpeech(), path, body, headers, output_format="pcm_24000")
    speech = AudioWithTimestampsResponse.model_validate_json(said)
    assert unknown(speech) == []
    assert speech.alignment is not None
    assert speech.alignment.characters == list("Tides.")


@pytest.mark.parametrize("voice", ["en-US-Neural2-F", "en-US-Chirp3-HD-Kore"])
def test_speech_with_time_points(voice: str) -> None:
    body = {
        "input": {"ssml": '<speak><mark name="0"/>Tides.</speak>'},
        "voice": {"name": voice},
        "audioConfig": {"audioEncoding": "LINEAR16"},
        "enableTimePointing": ["SSML_MARK"],
    }
    said = answer(GoogleSpeech(), "/v1beta1/text:synthesize", body, {"x-goog-api-key": KEYS["google"]})
    reply = tts.SynthesizeSpeechResponse.from_json(said, ignore_unknown_fields=False)
    assert [point.mark_name for point in reply.timepoints] == ([] if "Chirp" in voice else ["0"])
