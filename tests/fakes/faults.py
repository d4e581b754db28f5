"""What goes wrong, and when: faults on order, one after the other, or drawn from a seed.

A fault belongs to the next requests of one provider. With a seed, a request without an order has one in three odds of a
fault; which one depends on seed, provider and the number of the request alone, so a run can be repeated.
"""

from __future__ import annotations

import random
from typing import Literal, get_args

import msgspec

Provider = Literal["openai", "pexels", "elevenlabs", "google", "media"]

Kind = Literal[
    "latency",  # a right answer, `seconds` late; billed
    "rate_limited",  # 429, with Retry-After of `seconds` where that is above 0
    "server_error",  # 500
    "bad_gateway",  # 502 from something in between, after billing
    "no_credit",  # the account is empty
    "hang",  # billed, and then never an answer
    "slow_drip",  # billed, and then a byte each `seconds`
    "malformed_body",  # billed, 200, and no JSON
    "wrong_form",  # billed, 200, and right JSON that is not what was asked for
    "reset_before",  # the connection is reset, nothing billed
    "reset_after",  # billed, and then the connection is reset
    "wrong_key",  # as for a key that it does not know
    "bad_token",  # 401 to a token rather than a key
    "bad_model",  # as for a model or voice that it does not have
    "empty",  # a search that finds nothing
    "refused",  # the model or the moderation refuses the text
    "content_filter",  # the content filter stops a script in its middle; billed
    "cut_off",  # a script ends at its bound; billed
    "no_timings",  # speech without times; billed
    "no_sound",  # speech without sound; billed
    "spent_quota",  # a right answer that says it was the last one of the quota
    "redirect",  # a file that is said to lie at a private address
]

#: What a seed draws from: what any provider can do, in moments rather than minutes.
_DRAWN: tuple[Kind, ...] = ("latency", "rate_limited", "server_error", "bad_gateway", "malformed_body", "reset_after")
_ODDS = 1 / 3


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong with the next `count` requests of a provider; 0 for all of them."""

    provider: Provider
    kind: Kind
    seconds: float = 0.0
    count: int = 1


class Plan:
    """The faults still to come."""

    def __init__(self, seed: int | None) -> None:
        self._seed = seed
        self._faults: list[Fault] = []
        self._numbers = dict.fromkeys(get_args(Provider), 0)

    def order(self, faults: list[Fault]) -> None:
        """Replace what was ordered before."""
        self._faults = list(faults)

    def next(self, provider: Provider) -> Fault | None:
        """What goes wrong with this provider's next request."""
        self._numbers[provider] += 1
        for place, fault in enumerate(self._faults):
            if fault.provider == provider:
                if fault.count == 1:
                    del self._faults[place]
                elif fault.count > 1:
                    self._faults[place] = msgspec.structs.replace(fault, count=fault.count - 1)
                return fault
        if self._seed is None or provider == "media":
            return None
        draw = random.Random(f"{self._seed} {provider} {self._numbers[provider]}")  # noqa: S311 - repeatable
        return Fault(provider, draw.choice(_DRAWN), seconds=0.05) if draw.random() < _ODDS else None
