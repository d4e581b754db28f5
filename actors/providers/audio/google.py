"""Speaks with Google Text-to-Speech, whose time points at SSML marks say when each word starts.

Official client for v1beta1 over REST, its own retries off and its credentials given by us. Billed by the characters of
the SSML. As we understand its price list, blanks and tags count and marks do not; its answers do not say. So marks are
left out of what was used but are in the bound: a bill that counts them stays within what was reserved.
Voices of the newer kinds give no time points; an aligner listens to those. Resending is blind: the API has no
idempotency key. Imported only where this provider is configured.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from xml.sax.saxutils import escape

import requests
import urllib3
from google.api_core.exceptions import GoogleAPICallError
from google.auth.api_key import Credentials as KeyCredentials
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import texttospeech_v1beta1 as tts
from google.cloud.texttospeech_v1beta1.services.text_to_speech.transports.rest import TextToSpeechRestTransport
from google.oauth2 import service_account
from google.protobuf.json_format import ParseError
from requests.adapters import HTTPAdapter

from actors.providers import outcomes, permission
from actors.providers.audio import alignment
from actors.providers.audio.reading import caption_words
from actors.providers.audio.samples import keep, of_wav
from actors.providers.outcomes import Who
from actors.providers.ports import Answer, Resend, SpeechOrder, Utterance
from actors.providers.weighing import SPEECH_MAX_BYTES
from schema.errors import BilledError, ConfigurationError, PermanentError, PipelineError
from schema.money.reservation import Reservation
from schema.settings.providers import Providers

SAMPLE_RATE_HZ = 24_000
# the package publishes no types for these
_from_key: Callable[..., object] = KeyCredentials
_from_file: Callable[..., object] = service_account.Credentials.from_service_account_file
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
#: What one request may hold.
_MOST_BYTES = 5_000
_SLOWEST, _FASTEST = 0.25, 2.0
_WAV = "voice.wav"
_MARK = re.compile(r'<mark name="\d+"/>')
#: "en-US-Neural2-F": language, region, kind, letter; "en-US-Chirp3-HD-Kore" has a kind of two words.
_VOICE = re.compile(r"(?P<language>[a-z]{2,3}-[A-Z][A-Za-z0-9]+)-(?P<kind>[A-Za-z][A-Za-z0-9]*(?:-HD)?)-[A-Za-z]\w*")


class Google:
    """A speaker who is paid by the character; its model, as prices go, is the kind of its voice."""

    service: str = "google"
    resend: Resend = "blind"

    def __init__(self, settings: Providers, *, economy: bool = False) -> None:
        self._settings = settings
        self._voice = settings.google_economy_voice if economy else settings.google_voice
        setting = "YTEMPIRE_GOOGLE_ECONOMY_VOICE" if economy else "YTEMPIRE_GOOGLE_VOICE"
        self.model = _kind(self._voice)
        self._who = Who(
            "Google Text-to-Speech",
            "GOOGLE_API_KEY or GOOGLE_APPLICATION_CREDENTIALS",
            f"{setting} ({self._voice})",
            (settings.google_api_key,),
        )
        self._credentials = _credentials(settings)

    def worst_case(self, order: SpeechOrder) -> dict[str, int]:
        """Every character of the SSML, marks too: never less than what is billed, whoever reads the price list."""
        return {"characters": len(_ssml(order.text))}

    async def call(self, order: SpeechOrder, reservation: Reservation, out: Path) -> Answer[Utterance]:
        """Have it spoken; see `Adapter` for what is raised.

        Raises:
            BilledError: the answer holds no sound.
        """
        permission.check(reservation, service=self.service, model=self.model, worst_case=self.worst_case(order))
        voice = self._voice if order.voice == "default" else order.voice
        if _kind(voice) != self.model:
            told = f"got the voice {voice}, expected one of the kind {self.model}, which the money was reserved for"
            raise PermanentError(told, hint="name a voice of that kind, or set YTEMPIRE_GOOGLE_VOICE")
        size = len(_ssml(order.text).encode())
        if size > _MOST_BYTES:
            raise PermanentError(f"got a scene of {size} bytes, expected at most {_MOST_BYTES}", hint="split the scene")
        try:
            reply = await asyncio.to_thread(self._send, order, voice, reservation)
        except (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError, GoogleAuthError) as error:
            failure: PipelineError = outcomes.not_reached(self._who, error)
        except requests.exceptions.Timeout:
            failure = outcomes.too_slow(self._who, self._settings.speech_timeout_s)
        except requests.exceptions.RequestException as error:
            failure = self._connection_failure(error)
        except GoogleAPICallError as error:
            failure = self._status_failure(error)
        # an error in no form of its own makes the client itself stumble
        except (ParseError, ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
            failure = outcomes.unreadable(self._who, type(error).__name__)
        else:
            return await asyncio.to_thread(self._answer, order, reply, out)
        raise failure  # outside the handler: an error of the client holds the request

    def _send(self, order: SpeechOrder, voice: str, reservation: Reservation) -> tts.SynthesizeSpeechResponse:
        settings = self._settings
        transport = TextToSpeechRestTransport(
            credentials=self._credentials, host=settings.google_base_url.rstrip("/"), always_use_jwt_access=True
        )
        session: Any = transport._session  # noqa: SLF001 - there is no other way to bound a whole answer
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Bounded(settings.speech_timeout_s))
        session._max_refresh_attempts = 0  # noqa: SLF001 - it would send again after a 401
        session.max_redirects = 0  # a redirect would carry the key elsewhere
        request = tts.SynthesizeSpeechRequest(
            input=tts.SynthesisInput(ssml=_ssml(order.text)),
            voice=tts.VoiceSelectionParams(name=voice, language_code=_language(voice)),
            audio_config=tts.AudioConfig(
                audio_encoding=tts.AudioEncoding.LINEAR16,
                sample_rate_hertz=SAMPLE_RATE_HZ,
                speaking_rate=min(max(order.speed, _SLOWEST), _FASTEST),
            ),
            enable_time_pointing=[tts.SynthesizeSpeechRequest.TimepointType.SSML_MARK],
        )
        synthesise = cast("Callable[..., tts.SynthesizeSpeechResponse]", transport.synthesize_speech)
        try:
            return synthesise(
                request,
                timeout=(settings.connect_timeout_s, settings.speech_timeout_s),
                metadata=(("x-client-request-id", str(reservation.id)),),
            )
        finally:
            session.close()

    def _answer(self, order: SpeechOrder, reply: tts.SynthesizeSpeechResponse, out: Path) -> Answer[Utterance]:
        used = {"characters": len(_MARK.sub("", _ssml(order.text)))}
        form, samples = of_wav(reply.audio_content)
        if form != (1, 2, SAMPLE_RATE_HZ) or not samples.any():
            told = f"Google Text-to-Speech answered without sound (channels, bytes, Hz: {form})"
            raise BilledError(told, used=used, another_may_do=True)
        keep(samples, SAMPLE_RATE_HZ, out / _WAV)
        duration_s = len(samples) / SAMPLE_RATE_HZ
        points = {point.mark_name: point.time_seconds for point in reply.timepoints}
        names = [str(place) for place in range(len(caption_words(order.text)))]
        if all(name in points for name in names):
            words = alignment.from_starts(order.text, [points[name] for name in names], duration_s)
            if words is not None:
                return Answer(Utterance(_WAV, SAMPLE_RATE_HZ, duration_s, words, "provider"), used)
        heard, timing = alignment.by_listening(order.text, samples, SAMPLE_RATE_HZ, order.language)
        return Answer(Utterance(_WAV, SAMPLE_RATE_HZ, duration_s, heard, timing), used)

    def _connection_failure(self, error: requests.exceptions.RequestException) -> PipelineError:
        told = repr(error)
        if "NewConnectionError" in told or "NameResolutionError" in told:
            return outcomes.not_reached(self._who, error)
        return outcomes.broken_off(self._who, error)

    def _status_failure(self, error: GoogleAPICallError) -> PipelineError:
        said = str(error.message)
        code = int(error.code or 0)
        if "API key not valid" in said or "API_KEY_INVALID" in str(error.details):  # Google says 400 for it
            return outcomes.from_status(self._who, 401, said, {})
        if code == 400 and "voice" in said.lower():  # noqa: PLR2004 - and for a voice that it does not have
            told = f"{self._who.name} answered 400: {self._who.clean(said)}"
            return PermanentError(told, hint=f"check {self._who.model_setting}")
        headers = getattr(error.response, "headers", None) or {}
        return outcomes.from_status(self._who, code, said, headers)


class _Bounded(HTTPAdapter):
    """Reads each answer within one time limit and up to one size: the client's own limit ends at every byte."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(max_retries=0)
        self._limit_s = limit_s

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:  # noqa: ANN401 - as its parent
        end_s = time.monotonic() + self._limit_s
        response = super().send(request, *args, **options)
        try:
            response._content = self._read(response, end_s)  # noqa: SLF001 - what requests itself would set
        except urllib3.exceptions.TimeoutError as error:
            raise requests.exceptions.ReadTimeout from error
        except urllib3.exceptions.HTTPError as error:  # cut short, or not packed as it says
            raise requests.exceptions.ConnectionError(str(error)) from error
        return response

    @staticmethod
    def _read(response: requests.Response, end_s: float) -> bytes:
        parts, size_bytes = [], 0
        while part := response.raw.read1(1 << 16, decode_content=True):
            parts.append(part)
            size_bytes += len(part)
            if time.monotonic() > end_s:
                response.close()
                raise requests.exceptions.ReadTimeout
            if size_bytes > SPEECH_MAX_BYTES:
                response.close()
                raise requests.exceptions.ConnectionError(f"the answer weighs more than {SPEECH_MAX_BYTES} bytes")
        return b"".join(parts)


def _ssml(text: str) -> str:
    marked = " ".join(f'<mark name="{place}"/>{escape(word)}' for place, word in enumerate(caption_words(text)))
    return f"<speak>{marked}</speak>"


def _parts(voice: str) -> re.Match[str]:
    found = _VOICE.fullmatch(voice)
    if found is None:
        told = f"got the voice {voice!r}, expected a name such as en-US-Neural2-F"
        raise PermanentError(told, hint="see Google's list of voices; set YTEMPIRE_GOOGLE_VOICE")
    return found


def _kind(voice: str) -> str:
    """What the price depends on: standard, wavenet, neural2, studio, chirp3-hd."""
    return _parts(voice)["kind"].lower()


def _language(voice: str) -> str:
    return _parts(voice)["language"]


def _credentials(settings: Providers) -> Credentials:
    """From the settings alone, never from what the client would find on the machine."""
    if settings.google_api_key:
        return cast("Credentials", _from_key(settings.google_api_key))
    path = settings.google_application_credentials
    if not path:
        hint = "set GOOGLE_API_KEY or GOOGLE_APPLICATION_CREDENTIALS"
        raise ConfigurationError("Google Text-to-Speech has no key", hint=hint)
    try:
        return cast("Credentials", _from_file(path, scopes=[_SCOPE]))
    except (OSError, ValueError) as error:
        told = f"cannot read the Google service account in {path}: {type(error).__name__}"
        raise ConfigurationError(told, hint="let GOOGLE_APPLICATION_CREDENTIALS name its JSON file") from None
