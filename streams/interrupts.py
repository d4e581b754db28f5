"""What stops a running stage without being a failure of it.

An interrupted stage loses nothing: its entry is handed back in place and no retry is spent. These are BaseExceptions,
so that a stage's own `except Exception` cannot swallow a halt.
"""

from __future__ import annotations


class Interrupted(BaseException):
    """Stopped from outside; the work goes on later."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or type(self).__doc__ or "")
        self.reason = reason or type(self).__doc__ or ""


class Halted(Interrupted):
    """The factory was halted; the work goes on after a resume."""


class ShuttingDown(Interrupted):
    """This process is ending; another one takes the work over."""


class Superseded(Interrupted):
    """A newer attempt of the same stage has begun."""


class ReturnTo(Interrupted):
    """The same entry is already being worked on, by the consumer named here."""

    def __init__(self, consumer: str, reason: str = "", *, idle_s: float = 0.0) -> None:
        super().__init__(reason or f"the entry is being worked on by {consumer}")
        #: Name of the consumer that gets the entry back.
        self.consumer = consumer
        #: How long ago that consumer was last heard of: so much of the entry's lease counts as spent.
        self.idle_s = idle_s


class RetryLater(Exception):  # noqa: N818 - a request, as dramatiq's Retry is
    """Work that asks to be delivered again, to its own group, after a while; it counts as no failure."""

    def __init__(self, reason: str = "", *, delay_s: float) -> None:
        super().__init__(reason)
        self.delay_s = delay_s
