"""The ways in which work can fail; the class decides what happens next, never the caller.

Retryable is tried again later, permanent ends the video with its reason, refused is an event that never became work.
A docstring here is the message an operator reads when nothing better is known.
"""

from __future__ import annotations


class PipelineError(Exception):
    """Something failed in the pipeline."""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or type(self).__doc__ or "")
        #: What to do about it, in one line; empty when nothing is known.
        self.hint = hint


class RetryableError(PipelineError):
    """A passing failure: the same attempt may succeed later."""


class RateLimitedError(RetryableError):
    """A provider asks for a pause: nothing was billed."""

    def __init__(self, message: str = "", *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        #: The pause that it asked for; None where it did not say.
        self.retry_after_s = retry_after_s


class NotNowError(RetryableError):
    """Nothing was tried, since it would fail: whoever could do it is left alone for a while."""

    def __init__(self, message: str = "", *, hint: str = "", after_s: float) -> None:
        super().__init__(message, hint=hint)
        #: When it is worth a try.
        self.after_s = after_s


class UnknownOutcomeError(PipelineError):
    """A paid request was sent and its outcome is not known: it may have been billed."""


class PermanentError(PipelineError):
    """The same input will fail again: the video fails with this reason."""


class BudgetError(PermanentError):
    """The call does not fit what is left of a budget."""


class BilledError(PermanentError):
    """A provider answered and bills it, but its answer cannot be used."""

    def __init__(
        self,
        message: str = "",
        *,
        used: dict[str, int],
        hint: str = "",
        request_id: str = "",
        another_may_do: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        #: What it bills, by unit as in the price table.
        self.used = used
        #: The provider's own name for this request; empty when it has none.
        self.request_id = request_id
        #: Whether the same order, bought once more, may well give an answer that can be used.
        self.another_may_do = another_may_do


class UnknownPriceError(PermanentError):
    """Nobody says what this would cost, so it is not bought."""


class RefusedError(PipelineError):
    """An event was refused before it became work; `hint` is a right line to copy."""


class ConfigurationError(PipelineError):
    """A setting or a server cannot be used as it is; nothing was started."""


class RecordUnavailableError(RetryableError):
    """Postgres cannot be reached or cannot write at the moment."""


class ArtifactError(RetryableError):
    """A stored file is missing or is not what was stored."""


class StoreUnavailableError(ArtifactError):
    """The store of artifacts cannot be used at the moment; no file is to blame."""
