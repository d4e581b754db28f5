from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from schema.errors import ConfigurationError, UnknownPriceError
from schema.money.prices import Prices
from schema.settings.limits import Limits

PRICES = Prices()


def test_every_built_in_price_has_its_date_and_its_source() -> None:
    listed = PRICES.listed()
    assert {price.service for price in listed} == {"openai", "elevenlabs", "google", "pexels"}
    assert all(price.as_of is not None and price.source.startswith("https://") for price in listed)


def test_a_sum_is_exact_and_rounded_up() -> None:
    usd = PRICES.worst_case_usd("openai", "gpt-5.4", {"input_tokens": 1_000_000, "output_tokens": 2_000})
    assert usd == Decimal("2.53")
    assert PRICES.worst_case_usd("openai", "gpt-5.4-mini", {"input_tokens": 1}) == Decimal("0.000001")
    assert PRICES.bill_usd("google", "standard", {"characters": 1_234}) == Decimal("0.004936")
    assert PRICES.bill_usd("pexels", "search", {"requests": 1}) == 0


def test_the_economy_models_cost_at_most_half() -> None:
    tokens = {"input_tokens": 3_000, "output_tokens": 2_000}
    assert 2 * PRICES.bill_usd("openai", "gpt-5.4-mini", tokens) <= PRICES.bill_usd("openai", "gpt-5.4", tokens)
    spoken = {"characters": 900}
    flash, multilingual = (
        PRICES.bill_usd("elevenlabs", model, spoken) for model in ("eleven_flash_v2_5", "eleven_multilingual_v2")
    )
    assert 2 * flash <= multilingual


def test_a_typical_video_fits_its_budget() -> None:
    script = PRICES.worst_case_usd("openai", "gpt-5.4", {"input_tokens": 12_000, "output_tokens": 4_000})
    voice = PRICES.worst_case_usd("elevenlabs", "eleven_multilingual_v2", {"characters": 2_000})
    assert script + voice < Limits().video_budget_usd


@pytest.mark.parametrize(
    ("service", "model", "units", "said"),
    [
        ("openai", "gpt-5.4-minni", {"output_tokens": 1}, "did you mean gpt-5.4-mini"),
        ("openai", "llama3", {"output_tokens": 1}, "nobody says what openai charges for llama3"),
        ("nobody", "x", {"requests": 1}, "nobody says what nobody charges for x"),
        ("openai", "gpt-5.4", {"images": 1}, "has no price for images: it has one for input_tokens"),
        ("openai", "gpt-5.4", {}, "names no units"),
        ("openai", "gpt-5.4", {"output_tokens": -1}, "-1 output_tokens is not a number of units"),
    ],
)
def test_what_has_no_price_is_refused_with_what_to_do(
    service: str, model: str, units: dict[str, int], said: str
) -> None:
    with pytest.raises(UnknownPriceError, match=said):
        PRICES.worst_case_usd(service, model, units)


def test_an_unknown_model_hints_at_the_users_own_file() -> None:
    with pytest.raises(UnknownPriceError) as refusal:
        PRICES.price("openai", "llama3")
    assert '[openai.models] "llama3"' in refusal.value.hint
    assert "YTEMPIRE_PRICES" in refusal.value.hint


def test_the_users_prices_go_before_the_built_in_ones_model_by_model(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('[openai.models]\n"llama3" = { output_tokens = 0 }\n"gpt-5.4" = { output_tokens = 0.1 }\n')
    prices = Prices(str(path))
    assert prices.bill_usd("openai", "llama3", {"output_tokens": 5}) == 0
    assert prices.bill_usd("openai", "gpt-5.4", {"output_tokens": 1_000_000}) == Decimal("0.1")
    assert prices.price("openai", "gpt-5.4").source == str(path)
    assert prices.price("openai", "gpt-5.4-mini") == PRICES.price("openai", "gpt-5.4-mini")


def test_two_prices_are_the_same_when_their_figures_are(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('[elevenlabs]\nas_of = 2030-01-01\nmodels."eleven_v3" = { characters = 300.00 }\n')
    ours, theirs = PRICES.price("elevenlabs", "eleven_v3"), Prices(str(path)).price("elevenlabs", "eleven_v3")
    assert ours.figures == theirs.figures == "characters 300"
    assert ours != theirs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[openai", "is not understood"),
        ("[openai]\nmodel = 1\n", "is not understood"),
        ('[openai.models]\n"m" = { output_tokens = -1 }\n', "openai m output_tokens is -1: expected 0 or more"),
        ('[openai.models]\n"m" = { output_tokens = nan }\n', "expected 0 or more"),
        ('[openai.models]\n"m" = { output_tokens = "dear" }\n', "is not understood"),
    ],
)
def test_a_price_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        Prices(str(path))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Prices(str(tmp_path / "missing.toml"))
