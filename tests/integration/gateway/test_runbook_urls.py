"""The URLs of the runbook, with the fields that its `jq` lines show, and what they say of servers that are away."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from streams.transport.port import Entry
from tests.fakes.clocks import HandClock
from tests.integration.gateway.conftest import Gateway
from tests.integration.processes import until

_COMPONENTS = ["postgresql", "redis", "pipeline_api", "prometheus", "grafana", "n8n"]
_ABSENT = {"status": "not here", "critical": False, "why": ""}
#: What the issue allows; the gateway itself gives up on a server sooner.
_WITHIN_S = 3.0


async def test_health_has_the_six_components_and_who_is_not_installed_is_no_fault(gateway: Gateway) -> None:
    servers = gateway.process.settings.servers
    answer = await gateway.ask.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    components = answer.json()["components"]
    assert list(components) == _COMPONENTS
    assert [components[name]["status"] for name in _COMPONENTS] == ["ok"] * 3 + ["not here"] * 3
    assert components["prometheus"] == {**_ABSENT, "port": servers.prometheus_port}
    assert [name for name in _COMPONENTS if components[name]["critical"]] == [*_COMPONENTS[:3], "n8n"]
    assert (await gateway.ask.get("/readyz")).json() == answer.json()


async def test_health_detailed_tells_all_at_a_glance(gateway: Gateway) -> None:
    await gateway.submit()
    said = (await gateway.ask.get("/health/detailed")).json()
    assert set(said) >= {"status", "at", "components", "gate", "queue", "processes", "guardians", "figures", "consumes"}
    assert (said["status"], said["gate"], said["queue"]["waiting"], said["consumes"]) == ("ok", "open", 1, True)
    assert (said["processes"]["gateway"], said["processes"]["intake"]) == (True, False)
    assert {guardian["name"] for guardian in said["guardians"]} == {"integrity", "gpu", "stuck", "vitals", "cost"}


async def test_yesterday_and_today_are_told_in_figures(gateway: Gateway) -> None:
    await gateway.submit()
    said = (await gateway.ask.get("/metrics/daily")).json()
    assert (said["today"]["accepted"], said["yesterday"]["accepted"]) == (1, 0)
    assert (said["today"]["success_rate_percent"], said["today"]["cost_usd"]) == (None, "0")


async def test_without_a_guardian_nobody_sees_the_cards_and_the_answer_says_so(gateway: Gateway) -> None:
    said = (await gateway.ask.get("/resources/gpu/status")).json()
    assert said == {"cards": [], "why": "the gpu guardian does not answer"}


@pytest.mark.parametrize(
    ("away", "component", "how"),
    [
        ("redis", "redis", "cut"),
        pytest.param("redis", "redis", "freeze", marks=pytest.mark.slow),
        pytest.param("postgres", "postgresql", "cut", marks=pytest.mark.slow),
        pytest.param("postgres", "postgresql", "freeze", marks=pytest.mark.slow),
    ],
)
async def test_a_server_that_is_away_is_named_within_three_seconds(
    gateway: Gateway, away: str, component: str, how: str
) -> None:
    wire = gateway.redis if away == "redis" else gateway.postgres
    if how == "cut":
        await wire.cut()
    else:
        wire.freeze()
    began_s = time.monotonic()
    urls = ("/readyz", "/health", "/dead" if away == "redis" else "/overview")
    *told, refused = await asyncio.gather(*(gateway.ask.get(url) for url in urls))
    assert time.monotonic() - began_s < _WITHIN_S
    for answer in told:
        down = [name for name, part in answer.json()["components"].items() if part["status"] == "down"]
        assert (answer.status_code, answer.json()["status"], down) == (503, "down", [component])
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert ("Redis" if away == "redis" else "Postgres") in refused.json()["error"]
    assert refused.json()["hint"] == "./ytempire doctor"


async def test_livez_is_refused_when_the_streams_are_not_read_and_only_then(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, stuck, held = HandClock(), threading.Event(), threading.Event()
    live_clock = gateway.process.clock
    monkeypatch.setattr(type(live_clock), "monotonic_s", lambda _: clock.monotonic_s())

    async def alive() -> bool:
        return (await gateway.ask.get("/livez")).status_code == 200

    def has_read() -> bool:
        return gateway.live._read_at_s == clock.monotonic_s()

    await until(has_read)
    clock.advance(timedelta(hours=1))  # time alone does nothing: it reads again
    await until(has_read)
    assert await alive()
    observe = gateway.process.transport.observe

    def hang(cursors: dict[str, str], block_s: float) -> list[Entry]:
        held.set()
        stuck.wait(10)
        return observe(cursors, block_s)

    monkeypatch.setattr(gateway.process.transport, "observe", hang)
    assert await asyncio.to_thread(held.wait, 10)
    assert await alive()
    clock.advance(timedelta(seconds=16))
    refused = await gateway.ask.get("/livez")
    assert (refused.status_code, refused.json()) == (503, {"status": "not consuming"})
    assert (await gateway.ask.get("/health")).json()["components"]["pipeline_api"]["status"] == "down"
    stuck.set()
    await until(alive)
