"""What an HTTP answer means, for money and for the next try; and what a message never holds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from actors.providers import outcomes
from actors.providers.outcomes import Who
from schema.errors import PermanentError, PipelineError, RateLimitedError, RetryableError, UnknownOutcomeError

WHO = Who("Acme", "ACME_API_KEY", "ACME_MODEL", ("secret-of-acme",))


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (301, PermanentError),
        (400, PermanentError),
        (401, PermanentError),
        (402, PermanentError),
        (403, PermanentError),
        (404, PermanentError),
        (408, UnknownOutcomeError),
        (422, PermanentError),
        (429, RateLimitedError),
        (500, RetryableError),
        (502, UnknownOutcomeError),
        (503, RetryableError),
        (504, UnknownOutcomeError),
        (520, UnknownOutcomeError),
        (524, UnknownOutcomeError),
        (529, RetryableError),
    ],
)
def test_a_status_means(status: int, meaning: type[PipelineError]) -> None:
    error = outcomes.from_status(WHO, status, "words of\n the  provider with secret-of-acme " + "x" * 999, {})
    assert type(error) is meaning
    assert "secret-of-acme" not in str(error)
    assert len(str(error)) < 400
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_a_pause_is_read_in_either_form(value: str, seconds: float | None) -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert outcomes.retry_after_s({"RETRY-after": value}, now) == seconds


def test_no_header_no_pause() -> None:
    assert outcomes.retry_after_s({}) is None


def test_who_shows_no_secret() -> None:
    assert repr(WHO) == "Who('Acme')"
