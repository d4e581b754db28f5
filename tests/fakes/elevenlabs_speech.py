"""ElevenLabs: POST /v1/text-to-speech/VOICE/with-timestamps, as the API description behind elevenlabs 2.78 has it.

Speaks in tones, with the time of every character, and bills the characters of the text.
"""

from __future__ import annotations

import base64
import itertools
from typing import Any

from tests.fakes import tones
from tests.fakes.faults import Provider
from tests.fakes.wire import KEYS, Call, Reply, as_json

#: Its models, and what a character costs in credits.
MODELS = {"eleven_multilingual_v2": 1.0, "eleven_flash_v2_5": 0.5, "eleven_v3": 1.0}
VOICES = ("JBFqnCBsd6RMkjVDRZzb", "21m00Tcm4TlvDq8ikWAM")
FORBIDDEN = "forbidden"


class ElevenLabsSpeech:
    """The fake of ElevenLabs."""

    name: Provider = "elevenlabs"

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    def answer(self, call: Call) -> Reply:
        """Speech and its times."""
        if call.headers.get("xi-api-key") != KEYS["elevenlabs"]:
            return self.failure(401, "wrong_key")
        body = call.json()
        text, model = str(body["text"]), str(body.get("model_id"))
        if model not in MODELS:
            return self.failure(400, "bad_model")
        if call.path.split("/")[3] not in VOICES:
            return _error(404, "voice_not_found", "A voice for the voice_id was not found.")
        if call.is_told("refused") or FORBIDDEN in text:
            return _error(400, "content_against_policy", "The text you are trying to use may violate our Terms.")
        if call.query.get("output_format") != f"pcm_{tones.SAMPLE_RATE_HZ}" or call.path.split("/")[4:] != [
            "with-timestamps"
        ]:
            return _error(422, "invalid_output_format", "The fake speaks pcm_24000 with timestamps only.")
        speed = (body.get("voice_settings") or {}).get("speed") or 1.0
        spoken = tones.spoken(text, speed=speed)
        times: dict[str, Any] | None = {
            "characters": list(text),
            "character_start_times_seconds": spoken.starts_s,
            "character_end_times_seconds": spoken.ends_s,
        }
        sound = b"" if call.is_told("no_sound") else spoken.samples.astype("<i2").tobytes()
        if call.is_told("no_timings"):
            times = None
        answer = {
            "audio_base64": base64.b64encode(sound).decode(),
            "alignment": times,
            "normalized_alignment": times,
        }
        return Reply(
            200,
            as_json({"detail": "?"} if call.is_told("wrong_form") else answer),
            billed={"characters": len(text)},
            model=model,
            headers={
                "request-id": f"el_{next(self._ids):08d}",
                "character-cost": str(round(len(text) * MODELS[model])),
            },
        )

    def failure(self, status: int, kind: str) -> Reply:
        """A `detail` of its form."""
        match kind:
            case "wrong_key":
                return _error(401, "invalid_api_key", "Invalid API key")
            case "bad_model":
                return _error(400, "model_not_found", "A model with model ID no-such-model does not exist.")
            case "no_credit":
                told = "This request exceeds your quota of 10000. You have 0 credits remaining."
                return _error(401, "quota_exceeded", told)
            case "rate_limited":
                return _error(429, "too_many_concurrent_requests", "Too many concurrent requests.")
            case _:
                return _error(status, "internal_server_error", "An unexpected error occurred.")


def _error(status: int, kind: str, message: str) -> Reply:
    return Reply(status, as_json({"detail": {"status": kind, "message": message}}))
