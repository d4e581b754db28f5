"""The workflow in a real n8n, for those who have one: N8N_BIN names its command.

It is 2.6 GB to install (npm install n8n@2.40.7 --ignore-scripts, Node 24), so the everyday run leaves it out; what the
workflow asks and reads is held to the gateway in tests/unit/deploy/test_parity.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.launch.plan import ROOT
from deploy.launch.ports import free_ports
from tests.factory.running import STUBS, Factory, factory

N8N = os.environ.get("N8N_BIN", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not N8N, reason="opt-in: N8N_BIN names no n8n, which is 2.6 GB to install"),
]
_READY_WITHIN_S = 180
_WORKFLOW_ID = "ytempire00000001"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Factory]:
    """A factory of stubs with the real gateway."""
    procfile = tmp_path / "Procfile"
    procfile.write_text(STUBS.read_text() + "gateway: python -m deploy.gateway\n")
    with factory(tmp_path / "data", procfile=procfile) as started:
        yield started


@pytest.fixture
def n8n_url(running: Factory, tmp_path: Path) -> Iterator[str]:
    """An n8n with the workflow, switched on, its settings pointing at this factory."""
    workflow = json.loads((ROOT / "deploy/n8n/workflow.json").read_text().replace(":8000", f":{running.gateway_port}"))
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps({**workflow, "id": _WORKFLOW_ID}))
    port = free_ports(2)
    environ = {
        **os.environ,
        "N8N_USER_FOLDER": str(tmp_path),
        "N8N_PORT": str(port),
        "N8N_RUNNERS_BROKER_PORT": str(port + 1),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "N8N_DIAGNOSTICS_ENABLED": "false",
        "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
    }
    for command in (("import:workflow", f"--input={path}"), ("publish:workflow", f"--id={_WORKFLOW_ID}")):
        subprocess.run((N8N, *command), env=environ, check=True, timeout=_READY_WITHIN_S)
    process = subprocess.Popen((N8N, "start"), env=environ)
    try:
        url = f"http://127.0.0.1:{port}"
        asyncio.run(_until_healthy(f"{url}/healthz"))
        yield url
    finally:
        process.terminate()
        process.wait(60)


async def _until_healthy(url: str) -> None:
    async with asyncio.timeout(_READY_WITHIN_S), httpx.AsyncClient() as client:
        while True:
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.5)


def test_a_topic_that_is_posted_to_n8n_is_made_once_and_answered(n8n_url: str, running: Factory) -> None:
    asked = {"topic": "Why cats purr", "notes": "Cats purr."}
    answers = [
        httpx.post(f"{n8n_url}/webhook/video", json=asked, headers={"Idempotency-Key": "same"}, timeout=120).json()
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert answers[0]["status"] == "completed"
    assert running.rows("SELECT count(*) FROM video_queue") == [(1,)]
