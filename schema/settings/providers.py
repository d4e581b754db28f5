"""Which providers a stage tries, in order, and what they need.

Keys are fields like others; masking.py keeps them out of what is shown. Their names all end in `_key`, by which the log
masks them, too.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from schema.settings.masking import Masked

Stage = Literal["script", "media", "audio"]

#: Fields that are keys.
KEYS: Final = ("openai_api_key", "pexels_api_key", "elevenlabs_api_key", "google_api_key")
#: What each stage can buy, in the order in which `auto` tries it.
PAID: Final[dict[Stage, tuple[str, ...]]] = {
    "script": ("openai",),
    "media": ("pexels",),
    "audio": ("elevenlabs", "google"),
}
#: Whoever needs no key: the end of `auto`.
LOCAL: Final = "local"
AUTO: Final = "auto"
_OPENAI: Final = "https://api.openai.com/v1"
_ADDRESSES: Final = ("openai_base_url", "pexels_base_url", "elevenlabs_base_url", "google_base_url")


class Providers(Masked, frozen=True, kw_only=True):
    """Local providers need no key and are the default."""

    picture_dir: Annotated[
        str, Meta(description="your own pictures and clips, used before generated ones; empty: none")
    ] = ""
    voice_lexicon: Annotated[
        str, Meta(description="file of lines 'word /phonemes/' for the local voice; empty: none")
    ] = ""
    prices: Annotated[str, Meta(description="TOML file of your own prices, before the built-in ones; empty: none")] = ""

    script_chain: Annotated[
        str, Meta(description="who writes, in order, of openai, local; auto: openai where its key is set, then local")
    ] = AUTO
    media_chain: Annotated[
        str, Meta(description="who finds pictures, of pexels, local; auto: pexels where its key is set, then local")
    ] = AUTO
    audio_chain: Annotated[
        str, Meta(description="who speaks, of elevenlabs, google, local; auto: those whose key is set, then local")
    ] = AUTO

    openai_api_key: Annotated[str, Meta(description="key of OpenAI or of a server that speaks its API")] = ""
    openai_base_url: Annotated[str, Meta(description="address of the chat API; another than OpenAI's needs no key")] = (
        _OPENAI
    )
    openai_model: Annotated[str, Meta(description="model that writes scripts")] = "gpt-5.4"
    openai_economy_model: Annotated[str, Meta(description="model that writes them in economy mode")] = "gpt-5.4-mini"
    openai_reasoning: Annotated[
        Literal["omit", "none", "minimal", "low", "medium", "high"],
        Meta(description="how much the model may think, which is billed; omit: do not ask (for servers without it)"),
    ] = "none"
    openai_limit_field: Annotated[
        Literal["max_completion_tokens", "max_tokens"],
        Meta(description="name of the output's bound in the request; older servers only know max_tokens"),
    ] = "max_completion_tokens"

    pexels_api_key: Annotated[str, Meta(description="key of Pexels")] = ""
    pexels_base_url: Annotated[
        str, Meta(description="address of Pexels; where it is on loopback, files may come from there too")
    ] = "https://api.pexels.com"

    clips: Annotated[
        float, Meta(ge=0, le=1, description="share of a film's scenes that show a clip where one is found; 0: none")
    ] = 0.5

    elevenlabs_api_key: Annotated[str, Meta(description="key of ElevenLabs")] = ""
    elevenlabs_base_url: Annotated[str, Meta(description="address of ElevenLabs")] = "https://api.elevenlabs.io"
    elevenlabs_model: Annotated[str, Meta(description="model that speaks")] = "eleven_multilingual_v2"
    elevenlabs_economy_model: Annotated[str, Meta(description="model that speaks in economy mode")] = (
        "eleven_flash_v2_5"
    )
    elevenlabs_voice: Annotated[str, Meta(description="id of the voice that 'default' stands for")] = (
        "JBFqnCBsd6RMkjVDRZzb"
    )

    google_api_key: Annotated[str, Meta(description="key of Google Cloud with Text-to-Speech enabled")] = ""
    google_application_credentials: Annotated[
        str, Meta(description="file of a Google service account, used where there is no key")
    ] = ""
    google_base_url: Annotated[str, Meta(description="address of Google Text-to-Speech")] = (
        "https://texttospeech.googleapis.com"
    )
    google_voice: Annotated[str, Meta(description="name of the voice that 'default' stands for")] = "en-US-Neural2-F"
    google_economy_voice: Annotated[str, Meta(description="the same in economy mode")] = "en-US-Standard-F"

    connect_timeout_s: Annotated[float, Meta(gt=0, description="longest wait for a connection to a provider")] = 5.0
    script_timeout_s: Annotated[float, Meta(gt=0, description="longest wait for a whole script")] = 45.0
    search_timeout_s: Annotated[float, Meta(gt=0, description="longest wait for a search")] = 10.0
    speech_timeout_s: Annotated[float, Meta(gt=0, description="longest wait for the voice of one scene")] = 45.0
    download_timeout_s: Annotated[float, Meta(gt=0, description="longest time one file may take")] = 30.0
    download_max_bytes: Annotated[int, Meta(gt=0, description="largest file that is fetched")] = 80_000_000

    provider_tries: Annotated[int, Meta(ge=1, description="requests to a provider that fails in a passing way")] = 3
    retry_after_max_s: Annotated[
        float, Meta(gt=0, description="longest pause that a provider may ask for; a longer one moves on to the next")
    ] = 20.0
    breaker_failures: Annotated[
        int, Meta(ge=1, description="failures in a row after which a provider is left alone for a while")
    ] = 5
    breaker_open_s: Annotated[float, Meta(gt=0, description="how long it is left alone")] = 30.0

    def __post_init__(self) -> None:
        """Refuse what could not be sent, and names that no stage knows."""
        for field in KEYS:
            key = getattr(self, field)
            if not (key.isascii() and key.isprintable() and " " not in key):
                raise ValueError("Expected printable ASCII signs without blanks")
        for field in _ADDRESSES:
            parts = urlsplit(getattr(self, field))
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
                raise ValueError("Expected an address such as https://api.example.org")
        for stage in PAID:
            self.chain(stage)

    def chain(self, stage: Stage) -> tuple[str, ...]:
        """Who is tried for this stage, in order; at least one."""
        asked = getattr(self, f"{stage}_chain")
        if asked == AUTO:
            return (*(name for name in PAID[stage] if self.has_access(name)), LOCAL)
        names = tuple(name.strip() for name in asked.split(",") if name.strip())
        known = (*PAID[stage], LOCAL)
        if not names or set(names) - set(known) or len(set(names)) < len(names):
            raise ValueError(f"Expected {AUTO}, or some of {', '.join(known)}, each once, separated by commas")
        return names

    def has_access(self, name: str) -> bool:
        """Whether this paid provider could be asked: its key is set, or the server needs none."""
        return {
            "openai": bool(self.openai_api_key) or self.openai_base_url.rstrip("/") != _OPENAI,
            "pexels": bool(self.pexels_api_key),
            "elevenlabs": bool(self.elevenlabs_api_key),
            "google": bool(self.google_api_key or self.google_application_credentials),
        }[name]
