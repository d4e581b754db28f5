"""Google Text-to-Speech: POST /v1beta1/text:synthesize, as google-cloud-texttospeech 2.38 (v1beta1) has it.

Speaks in tones, with a time point for each mark, and bills the characters of the SSML, tags included, marks
excepted, as the adapter understands Google's price list.
"""

from __future__ import annotations

import base64
import html
import re
from typing import Any

from tests.fakes import tones
from tests.fakes.faults import Provider
from tests.fakes.wire import KEYS, Call, Reply, as_json

VOICES = ("en-US-Neural2-F", "en-US-Standard-F", "en-US-Wavenet-A", "en-US-Chirp3-HD-Kore")
FORBIDDEN = "forbidden"
#: The subject of a service account that it knows, in a token that it does not check.
_BEARER = re.compile(r"Bearer [\w-]+\.[\w-]+\.[\w-]+")
_MARK = re.compile(r'<mark name="([^"]*)"/>')


class GoogleSpeech:
    """The fake of Google Text-to-Speech."""

    name: Provider = "google"

    def answer(self, call: Call) -> Reply:
        """Speech and its time points."""
        has_token = _BEARER.fullmatch(call.headers.get("authorization", "")) is not None
        if call.headers.get("x-goog-api-key") != KEYS["google"] and not has_token:
            return self.failure(400, "wrong_key")
        body = call.json()
        voice, ssml = str(body["voice"]["name"]), str(body["input"]["ssml"])
        if voice not in VOICES:
            return _error(400, "INVALID_ARGUMENT", f"Voice '{voice}' does not exist. Is it misspelled?")
        if body["audioConfig"].get("audioEncoding") != "LINEAR16" or not ssml.startswith("<speak>"):
            return _error(400, "INVALID_ARGUMENT", "The fake speaks SSML as LINEAR16 only.")
        if call.is_told("refused") or FORBIDDEN in ssml:
            return _error(400, "INVALID_ARGUMENT", "This request contains sensitive or harmful content.")
        text, places = _read(ssml)
        spoken = tones.spoken(text, speed=body["audioConfig"].get("speakingRate", 1.0))
        gives_points = body.get("enableTimePointing") == ["SSML_MARK"] and "Chirp" not in voice
        points = [{"markName": name, "timeSeconds": spoken.starts_s[place]} for name, place in places]
        answer: dict[str, Any] = {
            "audioContent": base64.b64encode(b"" if call.is_told("no_sound") else spoken.wav).decode(),
            "timepoints": points if gives_points and not call.is_told("no_timings") else [],
            "audioConfig": {"audioEncoding": "LINEAR16", "speakingRate": 1, "sampleRateHertz": tones.SAMPLE_RATE_HZ},
        }
        return Reply(
            200,
            as_json({"audioContent": "AAAA"} if call.is_told("wrong_form") else answer),
            billed={"characters": len(_MARK.sub("", ssml))},
            model=voice,
        )

    def failure(self, status: int, kind: str) -> Reply:
        """An error of google.rpc.Status."""
        match kind:
            case "wrong_key":
                told = "API key not valid. Please pass a valid API key."
                return _error(400, "INVALID_ARGUMENT", told, reason="API_KEY_INVALID")
            case "bad_model":
                return _error(400, "INVALID_ARGUMENT", "Voice 'no-such-voice' does not exist. Is it misspelled?")
            case "bad_token":
                return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
            case "rate_limited" | "no_credit":
                return _error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'requests'.")
            case _:
                return _error(status, "INTERNAL", "Internal error encountered.")


def _error(status: int, code: str, message: str, *, reason: str = "") -> Reply:
    details = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
            "metadata": {"service": "texttospeech.googleapis.com"},
        }
    ]
    error = {"code": status, "message": message, "status": code} | ({"details": details} if reason else {})
    return Reply(status, as_json({"error": error}))


def _read(ssml: str) -> tuple[str, list[tuple[str, int]]]:
    """The text of the SSML, and the place of each mark in it."""
    inner = ssml.removeprefix("<speak>").removesuffix("</speak>")
    parts = _MARK.split(inner)
    text, places = html.unescape(parts[0]), []
    for name, piece in zip(parts[1::2], parts[2::2], strict=True):
        places.append((name, len(text)))
        text += html.unescape(piece)
    return text, places
