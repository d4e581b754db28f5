"""Who is served: over a real socket from this machine, and by the rules for everybody else."""

from __future__ import annotations

import httpx
import msgspec

from deploy.gateway.access import Access
from deploy.gateway.answers import SECURITY
from schema.settings.servers import Servers
from tests.integration.gateway.conftest import TOKEN, Gateway

_PROXIED = {"x-forwarded-for": "203.0.113.9"}
_BEARER = {"authorization": f"Bearer {TOKEN}"}


#: What a request says of where it comes from, and how it is answered.
_CASES: list[tuple[dict[str, str], int]] = [
    ({}, 200),
    ({"host": "rebound.example"}, 403),
    ({"origin": "https://evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site", "origin": "http://localhost:9"}, 403),
    (_PROXIED, 401),
    ({"x-forwarded-for": "127.0.0.1"}, 401),
    ({"forwarded": "for=127.0.0.1"}, 401),
    ({"x-real-ip": "::1"}, 401),
    ({**_PROXIED, "authorization": "Bearer wrong"}, 401),
    ({**_PROXIED, "authorization": "Bearer tök".encode("latin-1").decode("latin-1")}, 401),
    ({**_PROXIED, **_BEARER}, 200),
    ({**_PROXIED, "cookie": f"other=1; ytempire_token={TOKEN}"}, 200),
    ({**_PROXIED, **_BEARER, "origin": "https://evil.example"}, 403),
]


async def test_only_who_may_can_pause_the_factory(gateway: Gateway) -> None:
    for headers, status in _CASES:
        encoded = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
        answer = await gateway.ask.post("/pipeline/pause", headers=encoded)
        assert answer.status_code == status, (headers, answer.text)
        gate = (await gateway.ask.get("/overview")).json()["gate"]
        assert gate == ("paused" if status == httpx.codes.OK else "open"), headers
        if status == httpx.codes.OK:
            await gateway.ask.post("/pipeline/resume")
        else:
            assert set(answer.json()) == {"error", "hint"}


async def test_from_elsewhere_the_page_and_health_are_open_and_the_token_opens_the_rest(gateway: Gateway) -> None:
    for url in ("/", "/console/main.js", "/livez", "/readyz", "/health"):
        assert (await gateway.ask.get(url, headers=_PROXIED)).status_code == 200, url
    for url in ("/overview", "/live", "/videos", "/console/../videos", "/console/%2e%2e/videos", "/settings"):
        assert (await gateway.raw_status("GET", url, _PROXIED)) in (401, 404), url
    wrong = await gateway.ask.post("/session", json={"token": "no"}, headers=_PROXIED)
    assert (wrong.status_code, wrong.json()["error"]) == (401, "the token is wrong")
    right = await gateway.ask.post("/session", json={"token": TOKEN}, headers=_PROXIED)
    assert right.status_code == 204
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(right.headers["set-cookie"].split("; "))
    async with httpx.AsyncClient(base_url=str(gateway.ask.base_url), trust_env=False) as browser:
        await browser.post("/session", json={"token": TOKEN}, headers=_PROXIED)
        assert (await browser.get("/overview", headers=_PROXIED)).status_code == 200


async def test_every_answer_says_what_a_browser_must_not_do(gateway: Gateway) -> None:
    """Pages, errors and refusals alike."""
    answers = [
        await gateway.ask.get("/"),
        await gateway.ask.get("/no/such/page"),
        await gateway.ask.get("/videos/none"),
        await gateway.ask.get("/health", headers={"host": "evil.example"}),
        await gateway.ask.post("/videos", content=b"no"),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 404, 403, 400]
    for answer in answers:
        assert {name: answer.headers[name] for name in SECURITY} == SECURITY


_PATHS = [
    "/console/../../pyproject.toml",
    "/console/..%2f..%2fpyproject.toml",
    "/console//etc/passwd",
    "/%2e%2e/%2e%2e/pyproject.toml",
    "/..\\..\\pyproject.toml",
    "/videos/../../etc/passwd",
    "/videos/v-1/..%2f..%2fetc%2fpasswd",
    "/videos/%00/film",
    "/videos/v%00/%00",
    "/videos/" + "a" * 5000,
    "/dead/../x/requeue",
]


async def test_no_name_in_a_url_reaches_the_file_system(gateway: Gateway) -> None:
    for path in _PATHS:
        assert await gateway.raw_status("GET", path, {}) in (404, 405), path


async def test_what_is_secret_is_masked(gateway: Gateway) -> None:
    answer = await gateway.ask.get("/settings")
    assert TOKEN not in answer.text
    told = answer.json()
    assert (told["YTEMPIRE_GATEWAY_TOKEN"]["value"], told["OPENAI_API_KEY"]["value"]) == ("***", "")
    assert told["YTEMPIRE_GATEWAY_PORT"]["value"] == str(gateway.port)


def test_without_a_token_the_machine_serves_itself_only() -> None:
    rules = Access(Servers())
    assert rules.refusal("GET", "/overview", {"host": "localhost:8000"}, "127.0.0.1") is None
    assert rules.refusal("GET", "/overview", {"host": "[::1]:8000"}, "::1") is None
    refused = rules.refusal("GET", "/overview", {"host": "192.0.2.7:8000"}, "192.0.2.9")
    assert refused is not None
    assert (refused.status, "YTEMPIRE_GATEWAY_TOKEN" in refused.hint) == (403, True)
    assert rules.refusal("GET", "/health", {"host": "192.0.2.7:8000"}, "192.0.2.9") is None
    assert not rules.is_token("")


def test_a_further_name_is_one_that_was_named() -> None:
    rules = Access(Servers(gateway_hosts="Factory.lan , other"))
    assert rules.refusal("GET", "/health", {"host": "factory.lan:8000"}, "127.0.0.1") is None
    refused = rules.refusal("GET", "/health", {"host": "factory.lan.evil.example"}, "127.0.0.1")
    assert refused is not None
    assert refused.hint == "add the name to YTEMPIRE_GATEWAY_HOSTS"
    for host in ("", "a b", "[", "]:1", "user@factory.lan.evil"):
        assert rules.refusal("GET", "/health", {"host": host}, "127.0.0.1") is not None, host


async def test_errors_have_one_shape(gateway: Gateway) -> None:
    answer = await gateway.ask.get("/videos?limit=many")
    assert answer.status_code == 400
    assert set(msgspec.json.decode(answer.content)) == {"error", "hint"}
    assert "limit" in answer.json()["hint"]
