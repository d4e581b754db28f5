"""The paid providers by the names that the chains use; a client is imported when its provider is first wanted.

Made new on each call: keep what is returned for the life of the process, as Pexels counts its quota in it.
"""

from __future__ import annotations

from actors.providers.ports import Adapter, Hits, ScriptOrder, SearchOrder, SpeechOrder, Utterance
from schema.documents import Script
from schema.errors import ConfigurationError
from schema.settings.providers import Providers


def writer(name: str, settings: Providers, *, economy: bool) -> Adapter[ScriptOrder, Script]:
    """Who writes for money; raises ConfigurationError for a name that is no such provider."""
    if name == "openai":
        from actors.providers.script.chat import Chat  # noqa: PLC0415 - half a second, and wanted with a key only

        return Chat(settings, economy=economy)
    raise _unknown(name)


def finder(name: str, settings: Providers, *, economy: bool) -> Adapter[SearchOrder, Hits]:
    """Who finds pictures for requests of a quota."""
    if name == "pexels":
        from actors.providers.media.pexels import Pexels  # noqa: PLC0415 - wanted with a key only

        return Pexels(settings, economy=economy)
    raise _unknown(name)


def speaker(name: str, settings: Providers, *, economy: bool) -> Adapter[SpeechOrder, Utterance]:
    """Who speaks for money."""
    if name == "elevenlabs":
        from actors.providers.audio.elevenlabs import ElevenLabs  # noqa: PLC0415 - half a second, with a key only

        return ElevenLabs(settings, economy=economy)
    if name == "google":
        from actors.providers.audio.google import Google  # noqa: PLC0415 - likewise

        return Google(settings, economy=economy)
    raise _unknown(name)


def _unknown(name: str) -> ConfigurationError:
    return ConfigurationError(f"there is no paid provider {name!r} for this stage", hint="see .env.example")
