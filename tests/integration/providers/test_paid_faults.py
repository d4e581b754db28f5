"""Every way in which a paid call can go wrong, for every provider: what it means, that it is sent once, and no key."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from schema.errors import (
    BilledError,
    PermanentError,
    PipelineError,
    RateLimitedError,
    RetryableError,
    UnknownOutcomeError,
)
from tests.fakes.faults import Fault, Kind
from tests.fakes.orders import ORDERS, bought
from tests.fakes.running import Fakes
from tests.fakes.wire import KEYS

#: What each fault means, whoever has it.
ANYBODY: dict[Kind, type[PipelineError]] = {
    "rate_limited": RateLimitedError,
    "server_error": RetryableError,
    "bad_gateway": UnknownOutcomeError,
    "hang": UnknownOutcomeError,
    "slow_drip": UnknownOutcomeError,
    "reset_before": UnknownOutcomeError,
    "reset_after": UnknownOutcomeError,
    "wrong_key": PermanentError,
    "bad_model": PermanentError,
}
#: What only some can have, and what it means.
CASES: list[tuple[str, Kind, type[PipelineError]]] = [
    *((provider, kind, error) for provider in ORDERS for kind, error in ANYBODY.items()),
    *((provider, "malformed_body", UnknownOutcomeError) for provider in ("openai", "elevenlabs", "google")),
    ("pexels", "malformed_body", BilledError),
    *((provider, "wrong_form", BilledError) for provider in ORDERS),
    *((provider, "no_credit", PermanentError) for provider in ("openai", "elevenlabs")),
    *((provider, "no_credit", RateLimitedError) for provider in ("pexels", "google")),
    ("google", "bad_token", PermanentError),
    ("openai", "refused", BilledError),
    ("openai", "content_filter", BilledError),
    ("openai", "cut_off", BilledError),
    ("elevenlabs", "refused", PermanentError),
    ("google", "refused", PermanentError),
    ("elevenlabs", "no_sound", BilledError),
    ("google", "no_sound", BilledError),
    ("pexels", "empty", BilledError),
]
#: Long enough for a busy machine where no time-out is meant, short where one is.
IN_TIME_S, AT_ONCE_S = 20.0, 1.0


@pytest.mark.parametrize(("provider", "kind", "meaning"), CASES, ids=[f"{one}-{two}" for one, two, _ in CASES])
async def test_a_fault_means_what_it_should_and_is_sent_once(
    fakes: Fakes, tmp_path: Path, provider: str, kind: Kind, meaning: type[PipelineError]
) -> None:
    limit_s = AT_ONCE_S if kind in {"hang", "slow_drip"} else IN_TIME_S
    settings = fakes.settings(script_timeout_s=limit_s, search_timeout_s=limit_s, speech_timeout_s=limit_s)
    fakes.order(Fault(provider, kind, seconds=0.04 if kind == "slow_drip" else 7.0, count=0))  # type: ignore[arg-type]
    with pytest.raises(meaning) as caught:
        await bought(provider, settings).call(tmp_path)
    error = caught.value
    assert type(error) is meaning
    (line,) = fakes.lines()
    assert str(error)
    if isinstance(error, BilledError):
        assert error.used == line.billed
    elif isinstance(error, PermanentError):
        assert error.hint
        assert line.billed == {}
    elif isinstance(error, RetryableError):
        assert line.billed == {}
    if isinstance(error, RateLimitedError) and kind == "rate_limited":
        assert error.retry_after_s == 7.0
    assert left(tmp_path) == []
    _no_key_in(error)


def left(folder: Path) -> list[str]:
    """What lies in a folder."""
    return [path.name for path in folder.iterdir()]


def _no_key_in(error: BaseException) -> None:
    """Nothing that could ever be printed of an error holds a key or a header."""
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert error.__context__ is None
    assert error.__cause__ is None
    for key in KEYS.values():
        assert key not in shown
    assert "authorization" not in shown.lower()


@pytest.mark.parametrize("provider", ORDERS)
async def test_a_wrong_key_names_the_variable_to_look_at(fakes: Fakes, tmp_path: Path, provider: str) -> None:
    settings = fakes.settings(**{f"{provider}_api_key": "not-the-key-of-anyone-0123"})
    with pytest.raises(PermanentError, match="refuses the key") as caught:
        await bought(provider, settings).call(tmp_path)
    assert f"{provider.upper()}_API_KEY" in caught.value.hint
    assert "not-the-key-of-anyone-0123" not in "".join(traceback.format_exception(caught.value))
    assert len(fakes.lines()) == 1


@pytest.mark.parametrize(
    ("provider", "setting", "value"),
    [
        ("openai", "openai_model", "gpt-0"),
        ("elevenlabs", "elevenlabs_model", "eleven_nothing"),
        ("elevenlabs", "elevenlabs_voice", "nobody"),
        ("google", "google_voice", "en-US-Neural2-Z"),
    ],
)
async def test_a_bad_model_names_the_setting_to_look_at(
    fakes: Fakes, tmp_path: Path, provider: str, setting: str, value: str
) -> None:
    with pytest.raises(PermanentError) as caught:
        await bought(provider, fakes.settings(**{setting: value})).call(tmp_path)
    assert f"YTEMPIRE_{setting.upper()}" in caught.value.hint
    assert len(fakes.lines()) == 1


@pytest.mark.parametrize("provider", ORDERS)
async def test_a_server_that_is_not_there_was_sent_nothing(fakes: Fakes, tmp_path: Path, provider: str) -> None:
    closed = {name: "http://127.0.0.1:9" for name in fakes.addresses() if name.endswith("_url")}
    with pytest.raises(RetryableError, match="cannot be reached") as caught:
        await bought(provider, fakes.settings(**closed)).call(tmp_path)
    _no_key_in(caught.value)


@pytest.mark.parametrize("provider", ORDERS)
async def test_a_late_answer_is_an_answer(fakes: Fakes, tmp_path: Path, provider: str) -> None:
    fakes.order(Fault(provider, "latency", seconds=0.3))  # type: ignore[arg-type]
    answer = await bought(provider, fakes.settings()).call(tmp_path)
    assert [line.billed for line in fakes.lines()] == [answer.used]
