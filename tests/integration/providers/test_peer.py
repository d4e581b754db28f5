"""The chat and ElevenLabs adapters against somebody else's idea of those APIs: npm's @copilotkit/aimock.

Opt-in, as it is no package of ours; conftest leaves it out. With node, `npm install --prefix DIR @copilotkit/aimock`,
then set AIMOCK to DIR/node_modules/@copilotkit/aimock. Version 1.43 speaks chat completions; of ElevenLabs it has no
speech with timestamps, so there only its 404 is seen.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from actors.providers.ports import ScriptOrder
from deploy.launch.ports import free_ports
from schema.documents import Brief, Script
from schema.errors import BilledError, PermanentError, RateLimitedError
from tests.fakes.orders import bought
from tests.fakes.running import Fakes
from tests.fakes.wire import KEYS

AIMOCK = os.environ.get("AIMOCK", "")
WRITTEN = {
    "title": "Tides",
    "description": "Of the sea.",
    "tags": ["sea"],
    "language": "en",
    "scenes": [{"narration": "The moon pulls the sea.", "heading": "Moon", "search_terms": ["sea"]}],
}


class Peer(Fakes):
    """It, in place of our own fakes."""

    def addresses(self) -> dict[str, str]:
        """Keys and addresses."""
        keys = {f"{name}_api_key": key for name, key in KEYS.items()}
        return keys | {"openai_base_url": f"{self.origin}/v1", "elevenlabs_base_url": self.origin}

    def journal(self, path: str) -> list[int]:
        """The status of each answer to this path."""
        with httpx.Client(trust_env=False) as client:
            entries = client.get(f"{self.origin}/__aimock/journal").json()
        return [entry["response"]["status"] for entry in entries if entry["path"].startswith(path)]


@pytest.fixture
def peer(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Peer]:
    """It, with a script for tides and none for storms."""
    fixtures = [
        {"match": {"userMessage": "tides"}, "response": {"content": json.dumps(WRITTEN)}},
        {"match": {"userMessage": "storms"}, "response": {"content": "Once upon a time"}},
    ]
    (tmp_path / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}))
    port = free_ports()
    command = ["node", f"{AIMOCK}/dist/cli.js", "--port", str(port), "--fixtures", str(tmp_path / "fixtures.json")]
    command += getattr(request, "param", [])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        assert any("listening" in line for line in iter(process.stdout.readline, ""))
        yield Peer(port, tmp_path / "no-ledger")
    finally:
        process.terminate()
        process.stdout.close()
        process.wait(10)


async def test_a_script_comes_from_the_peer(peer: Peer, tmp_path: Path) -> None:
    answer = await bought("openai", peer.settings(), ScriptOrder(Brief("The tides"))).call(tmp_path)
    assert isinstance(answer.result, Script)
    assert answer.result.scenes[0].narration == "The moon pulls the sea."
    assert answer.used["output_tokens"] > 0
    assert answer.request_id
    assert peer.journal("/v1/chat/completions") == [200]


async def test_words_without_the_form_are_billed_and_unusable(peer: Peer, tmp_path: Path) -> None:
    with pytest.raises(BilledError, match="left the form"):
        await bought("openai", peer.settings(), ScriptOrder(Brief("The storms"))).call(tmp_path)
    assert peer.journal("/v1/chat/completions") == [200]


@pytest.mark.parametrize("peer", [["--chaos-ratelimit", "1"]], indirect=True)
async def test_the_peers_rate_limit_is_one_request(peer: Peer, tmp_path: Path) -> None:
    with pytest.raises(RateLimitedError):
        await bought("openai", peer.settings(), ScriptOrder(Brief("The tides"))).call(tmp_path)
    assert peer.journal("/v1/chat/completions") == [429]


async def test_the_peer_has_no_speech_with_timestamps(peer: Peer, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="404"):
        await bought("elevenlabs", peer.settings()).call(tmp_path)
