"""What the answer of a provider's HTTP API means for the money and for the next try, said once for all of them.

Nothing was billed: a connection that never stood, 429, and a plain 500, 503 or 529, in which the provider itself says
that it failed. Perhaps billed: a connection that broke later, a time-out after the request was on its way, and 408,
502, 504 and the like, in which something in between gave up waiting. No message holds a header or a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from schema.errors import PermanentError, PipelineError, RateLimitedError, RetryableError, UnknownOutcomeError
from schema.settings.masking import MASK

#: Longer explanations of a provider are cut.
_SAID_MAX_CHARS = 300
_REQUEST_TIMEOUT, _SERVER_ERRORS = 408, 500
_SHORTEST_SECRET = 4
#: Python refuses to print numbers of thousands of digits.
_LARGEST_CODE = 10**9


def words_of(value: object) -> str:
    """A code or an explanation as an error's body says it; nothing where it is neither text nor a number."""
    return (
        str(value) if isinstance(value, str | float) or (isinstance(value, int) and abs(value) < _LARGEST_CODE) else ""
    )


class Who(msgspec.Struct, frozen=True):
    """A provider as its messages name it."""

    name: str
    #: The variables that hold its key and its model, for hints.
    key_setting: str
    model_setting: str
    #: What no message may show.
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the name only."""
        return f"Who({self.name!r})"

    def clean(self, text: str) -> str:
        """`text` on one line, cut, its secrets masked."""
        for secret in self.secrets:
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, MASK)
        return " ".join(text.split())[:_SAID_MAX_CHARS]


def from_status(who: Who, status: int, said: str, headers: Mapping[str, str]) -> PipelineError:
    """The failure that an HTTP status of 300 or more stands for; `said` is the provider's own explanation."""
    words = who.clean(said)
    told = f"{who.name} answered {status}" + (f": {words}" if words else "")
    match status:
        case 401 | 403:
            # the explanation often repeats part of the key, so it is left out
            error: PipelineError = PermanentError(
                f"{who.name} refuses the key ({status})", hint=f"check {who.key_setting}"
            )
        case 402:
            error = no_credit(who)
        case 404:
            error = PermanentError(told, hint=f"check {who.model_setting} and the address of {who.name}")
        case 429:
            error = RateLimitedError(told, retry_after_s=retry_after_s(headers))
        case 500 | 503 | 529:
            error = RetryableError(told)
        case _ if status == _REQUEST_TIMEOUT or status > _SERVER_ERRORS:
            error = UnknownOutcomeError(f"{told}; it may have been billed")
        case _:
            error = PermanentError(told, hint="the request itself is refused; the words above are the provider's")
    return error


def no_credit(who: Who) -> PermanentError:
    """The account is empty: waiting does not help."""
    return PermanentError(f"the account at {who.name} has no credit left", hint=f"add credit at {who.name}")


def not_reached(who: Who, error: BaseException) -> RetryableError:
    """No connection came to stand, so nothing was sent."""
    return RetryableError(f"{who.name} cannot be reached ({type(error).__name__})", hint="is there a network?")


def broken_off(who: Who, error: BaseException) -> UnknownOutcomeError:
    """The request was on its way when the connection broke."""
    return UnknownOutcomeError(f"the connection to {who.name} broke ({type(error).__name__}); it may have been billed")


def too_slow(who: Who, limit_s: float) -> UnknownOutcomeError:
    """The request was sent, and no whole answer came in time."""
    return UnknownOutcomeError(f"no whole answer from {who.name} within {limit_s:g} s; it may have been billed")


def unreadable(who: Who, what: str) -> UnknownOutcomeError:
    """It says that all is well in a form that is not its own: who answered, and what it billed, is not known."""
    return UnknownOutcomeError(f"cannot read the answer of {who.name}: {what}; it may have been billed")


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The pause that the headers ask for, by `Retry-After` in either form; None where they do not."""
    asked = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(asked) - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError):
        return None
