"""What the gateway says of itself, judged by the standard; and that it is what it does."""

from __future__ import annotations

from openapi_spec_validator import validate

from tests.integration.gateway.conftest import Gateway

_OPEN = ("/livez", "/readyz", "/health", "/session")


async def test_the_description_is_right_by_the_standard_and_complete(gateway: Gateway) -> None:
    told = (await gateway.ask.get("/openapi.json")).json()
    validate(told)
    routes = {(path, method) for path, methods in told["paths"].items() for method in methods}
    assert {
        ("/pipeline/emergency/halt", "post"),
        ("/health/detailed", "get"),
        ("/metrics/daily", "get"),
        ("/resources/gpu/status", "get"),
        ("/videos", "post"),
        ("/videos/{video}/{name}", "head"),
        ("/live", "get"),
    } <= routes
    error = "#/components/schemas/Error"
    for path, method in routes:
        one = told["paths"][path][method]
        assert one["summary"] or one["description"], path
        said = one["responses"]
        if path not in _OPEN:
            assert {"401", "403", "503"} <= set(said), path
        refusals = [answer for status, answer in said.items() if status >= "400" and path not in _OPEN]
        for refusal in refusals:
            assert refusal["content"]["application/json"]["schema"] == {"$ref": error}, (path, refusal)
    assert {"202", "400", "413", "422", "429"} <= set(told["paths"]["/videos"]["post"]["responses"])
    assert set(told["paths"]["/videos"]["post"]["requestBody"]["content"]) == {
        "application/json",
        "application/cloudevents+json",
    }
    assert {"200", "206", "304", "404", "416"} <= set(told["paths"]["/videos/{video}/{name}"]["get"]["responses"])
    assert not [path for path in told["paths"] if "console" in path]
