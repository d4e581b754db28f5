"""The settings of providers: chains, and keys that nobody is shown."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from schema.errors import ConfigurationError
from schema.settings.environment import Settings, read
from schema.settings.providers import KEYS, Providers

ROOT = Path(__file__).parents[3]
KEY = "open-sesame-0123456789"


@pytest.mark.parametrize(
    ("environ", "stage", "chain"),
    [
        ({}, "audio", ("local",)),
        ({"ELEVENLABS_API_KEY": KEY}, "audio", ("elevenlabs", "local")),
        ({"ELEVENLABS_API_KEY": KEY, "GOOGLE_API_KEY": KEY}, "audio", ("elevenlabs", "google", "local")),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "a.json"}, "audio", ("google", "local")),
        ({"GOOGLE_API_KEY": KEY, "YTEMPIRE_AUDIO_CHAIN": "local, google"}, "audio", ("local", "google")),
        ({"OPENAI_API_KEY": KEY}, "script", ("openai", "local")),
        ({"YTEMPIRE_OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}, "script", ("openai", "local")),
        ({"YTEMPIRE_SCRIPT_CHAIN": "openai"}, "script", ("openai",)),
        ({"PEXELS_API_KEY": KEY}, "media", ("pexels", "local")),
    ],
)
def test_a_chain_holds_whoever_can_be_asked(environ: dict[str, str], stage: str, chain: tuple[str, ...]) -> None:
    assert read(environ).providers.chain(stage) == chain  # type: ignore[arg-type]


@pytest.mark.parametrize("chain", ["elevenlabs,nobody", "local,local", "pexels", ",", "auto,local"])
def test_a_chain_of_unknown_names_is_refused(chain: str) -> None:
    with pytest.raises(ConfigurationError, match="Expected auto, or some of elevenlabs, google, local") as caught:
        read({"YTEMPIRE_AUDIO_CHAIN": chain})
    assert f"YTEMPIRE_AUDIO_CHAIN is {chain!r}" in str(caught.value)


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY} ", f"{KEY}\u00e9"])
@pytest.mark.parametrize("field", KEYS)
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(field: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{field.upper()} is \*\*\*: Expected printable") as caught:
        read({field.upper(): key})
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("address", ["api.example.org", "ftp://example.org", "https://user:pw@example.org", "https://"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="Expected an address such as"):
        read({"YTEMPIRE_PEXELS_BASE_URL": address})


def test_settings_show_no_key() -> None:
    settings = Settings(providers=msgspec.convert(dict.fromkeys(KEYS, KEY), Providers))
    console = Console(file=io.StringIO(), width=400)
    console.print(settings)
    assert isinstance(console.file, io.StringIO)
    for shown in (repr(settings), str(settings.providers), console.file.getvalue(), f"{settings}"):
        assert KEY not in shown
    assert repr(settings).count("'***'") == len(KEYS)


def test_a_log_line_with_the_settings_shows_no_key() -> None:
    program = f"""
import structlog
from schema.telemetry import logs
from schema.settings.providers import Providers
import msgspec
logs.configure('test', json=True)
settings = Providers(openai_api_key='{KEY}', pexels_api_key='{KEY}')
structlog.get_logger().info('started', settings=settings, fields=msgspec.structs.asdict(settings))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)["fields"]["openai_api_key"] == "***"
    assert KEY not in done.stdout


def test_no_client_is_imported_before_its_provider_is_wanted() -> None:
    program = """
import sys
import actors.providers.configured, actors.providers.chain, actors.providers.retries
import actors.script, actors.media, actors.audio
print([name for name in ('openai', 'elevenlabs', 'google.cloud', 'httpx', 'pocketsphinx') if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
