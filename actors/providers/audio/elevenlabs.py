"""Speaks with ElevenLabs, which tells when each character sounds: POST /v1/text-to-speech/VOICE/with-timestamps.

Official client, its own retries off. Sound comes as plain 24 kHz samples, which every plan may ask for and nothing has
to decode. Billed by the characters of the text; the neighbouring text is free. The header `character-cost` counts
credits, which are not characters for every model, so it is not what we settle by. Resending is blind: the API has no
idempotency key. Imported only where this provider is configured.
"""

from __future__ import annotations

import asyncio
import base64
import re
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from elevenlabs import AudioWithTimestampsResponse, VoiceSettings
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.core.request_options import RequestOptions

from actors.providers import outcomes, permission
from actors.providers.audio import alignment
from actors.providers.audio.samples import keep
from actors.providers.outcomes import Who
from actors.providers.ports import Answer, Resend, SpeechOrder, Utterance
from actors.providers.weighing import SPEECH_MAX_BYTES, at_most
from schema.documents import Word
from schema.errors import BilledError, ConfigurationError, PermanentError, PipelineError
from schema.money.reservation import Reservation
from schema.settings.providers import Providers

SAMPLE_RATE_HZ = 24_000
#: What the API takes for a speed.
_SLOWEST, _FASTEST = 0.7, 1.2
#: The shortest of the models' limits on the text of one request.
_MOST_CHARS = 5_000
#: How much of a neighbour is sent: the end and the beginning are what the tone depends on.
_NEIGHBOUR_CHARS = 300
_WAV = "voice.wav"
#: It becomes part of the path.
_VOICE_ID = re.compile(r"[A-Za-z0-9]{1,64}")
#: Only these models cannot be told what stands before and after the text, or which language it is in.
_NO_NEIGHBOURS = ("eleven_v3",)
_NO_LANGUAGE = ("eleven_multilingual_v2",)


class ElevenLabs:
    """A speaker who is paid by the character."""

    service: str = "elevenlabs"
    resend: Resend = "blind"

    def __init__(self, settings: Providers, *, economy: bool = False) -> None:
        if not settings.elevenlabs_api_key:
            raise ConfigurationError("ElevenLabs has no key", hint="set ELEVENLABS_API_KEY")
        self._settings = settings
        self.model = settings.elevenlabs_economy_model if economy else settings.elevenlabs_model
        setting = "YTEMPIRE_ELEVENLABS_ECONOMY_MODEL" if economy else "YTEMPIRE_ELEVENLABS_MODEL"
        self._who = Who(
            "ElevenLabs",
            "ELEVENLABS_API_KEY",
            f"YTEMPIRE_ELEVENLABS_VOICE, {setting} ({self.model})",
            (settings.elevenlabs_api_key,),
        )

    def worst_case(self, order: SpeechOrder) -> dict[str, int]:
        """The characters of the text: exactly what is billed."""
        return {"characters": len(order.text)}

    async def call(self, order: SpeechOrder, reservation: Reservation, out: Path) -> Answer[Utterance]:
        """Have it spoken; see `Adapter` for what is raised.

        Raises:
            BilledError: the answer holds no sound.
        """
        permission.check(reservation, service=self.service, model=self.model, worst_case=self.worst_case(order))
        voice = self._settings.elevenlabs_voice if order.voice == "default" else order.voice
        if not _VOICE_ID.fullmatch(voice):
            told = f"got the voice {voice!r}, expected an id of letters and digits"
            raise PermanentError(told, hint="take an id from the list of voices of your account")
        if len(order.text) > _MOST_CHARS:
            told = f"got a scene of {len(order.text)} characters, expected at most {_MOST_CHARS}"
            raise PermanentError(told, hint="split the scene")
        limit_s = self._settings.speech_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                reply, request_id = await self._send(order, voice, reservation)
        except TimeoutError:
            failure: PipelineError = outcomes.too_slow(self._who, limit_s)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            failure = outcomes.not_reached(self._who, error)
        except httpx.TimeoutException:
            failure = outcomes.too_slow(self._who, limit_s)
        except (httpx.TransportError, httpx.DecodingError) as error:
            failure = outcomes.broken_off(self._who, error)
        except ApiError as error:
            failure = self._status_failure(error)
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            failure = outcomes.unreadable(self._who, type(error).__name__)
        else:
            return await asyncio.to_thread(self._answer, order, reply, request_id, out)
        raise failure  # outside the handler: an error of the client holds headers

    async def _send(
        self, order: SpeechOrder, voice: str, reservation: Reservation
    ) -> tuple[AudioWithTimestampsResponse, str]:
        settings = self._settings
        asked: dict[str, Any] = {}
        if not self.model.startswith(_NO_NEIGHBOURS):
            asked |= {"previous_text": order.before[-_NEIGHBOUR_CHARS:]} if order.before else {}
            asked |= {"next_text": order.after[:_NEIGHBOUR_CHARS]} if order.after else {}
        if self.model not in _NO_LANGUAGE:
            asked["language_code"] = order.language.split("-", maxsplit=1)[0].lower()
        if order.speed != 1:
            asked["voice_settings"] = VoiceSettings(speed=min(max(order.speed, _SLOWEST), _FASTEST))
        timeout = httpx.Timeout(settings.speech_timeout_s, connect=settings.connect_timeout_s)
        options: RequestOptions = {
            "max_retries": 0,
            "additional_headers": {"X-Client-Request-Id": str(reservation.id)},
        }
        # the client takes one figure for all time-outs from its options and else hands None on: the HTTP client's hold
        async with _Bounded(timeout=timeout, follow_redirects=False, event_hooks=at_most(SPEECH_MAX_BYTES)) as http:
            client = AsyncElevenLabs(
                api_key=settings.elevenlabs_api_key, base_url=settings.elevenlabs_base_url, httpx_client=http
            )
            raw = await client.text_to_speech.with_raw_response.convert_with_timestamps(
                voice,
                text=order.text,
                model_id=self.model,
                output_format=f"pcm_{SAMPLE_RATE_HZ}",
                request_options=options,
                **asked,
            )
        return raw.data, raw.headers.get("request-id", "")

    def _answer(
        self, order: SpeechOrder, reply: AudioWithTimestampsResponse, request_id: str, out: Path
    ) -> Answer[Utterance]:
        """Keep the sound; the times are the provider's, or an aligner's where it gives none that fit the text."""
        used = {"characters": len(order.text)}
        try:
            sound = base64.b64decode(reply.audio_base_64, validate=True)
        except (ValueError, TypeError, AttributeError):
            sound = b""
        samples = np.frombuffer(sound[: len(sound) // 2 * 2], "<i2")
        if not samples.any():
            told = "ElevenLabs answered without sound"
            raise BilledError(told, used=used, request_id=request_id, another_may_do=True)
        duration_s = len(samples) / SAMPLE_RATE_HZ
        keep(samples, SAMPLE_RATE_HZ, out / _WAV)
        words = _words(order.text, reply, duration_s)
        if words is not None:
            return Answer(Utterance(_WAV, SAMPLE_RATE_HZ, duration_s, words, "provider"), used, request_id)
        heard, timing = alignment.by_listening(order.text, samples, SAMPLE_RATE_HZ, order.language)
        return Answer(Utterance(_WAV, SAMPLE_RATE_HZ, duration_s, heard, timing), used, request_id)

    def _status_failure(self, error: ApiError) -> PipelineError:
        detail = error.body.get("detail") if isinstance(error.body, dict) else error.body
        status, said = "", ""
        if isinstance(detail, dict):
            status = outcomes.words_of(detail.get("status")) or outcomes.words_of(detail.get("code"))
            said = outcomes.words_of(detail.get("message"))
        elif isinstance(detail, list):  # how its server says that a field is wrong
            said = "; ".join(outcomes.words_of(one.get("msg")) for one in detail if isinstance(one, dict))
        if status == "quota_exceeded":
            return outcomes.no_credit(self._who)
        code = error.status_code or 0
        if status in {"model_not_found", "voice_not_found", "invalid_voice_id"} or "model" in status:
            return PermanentError(
                f"ElevenLabs answered {code}: {self._who.clean(said)}", hint=f"check {self._who.model_setting}"
            )
        if 200 <= code < 300:  # noqa: PLR2004 - it said that all was well, in no form that can be read
            return outcomes.unreadable(self._who, JSONDecodeError.__name__)
        return outcomes.from_status(self._who, code, said, error.headers or {})


class _Bounded(httpx.AsyncClient):
    """Keeps its own time-outs: the official client passes its own for each request, one figure for all of them."""

    async def request(self, method: str, url: Any, **options: Any) -> httpx.Response:  # noqa: ANN401 - as its parent
        options.pop("timeout", None)
        return await super().request(method, url, **options)


def _words(text: str, reply: AudioWithTimestampsResponse, duration_s: float) -> tuple[Word, ...] | None:
    given = reply.alignment
    if given is None:
        return None
    try:
        return alignment.from_characters(
            text,
            given.characters,
            given.character_start_times_seconds,
            given.character_end_times_seconds,
            duration_s,
        )
    except (AttributeError, TypeError, LookupError, OverflowError):  # the client checks no types
        return None
