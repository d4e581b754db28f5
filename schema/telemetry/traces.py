"""Traces as the W3C writes them: one `traceparent` travels with a video from its request to its film.

What is malformed begins a new trace; nothing here raises, and nothing is sent anywhere.
"""

from __future__ import annotations

import re
import secrets

#: version-traceid-spanid-flags (W3C Trace Context, level 1); later versions may append to it.
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)


def new_traceparent() -> str:
    """The first span of a new trace."""
    return f"00-{_random_hex(16)}-{_random_hex(8)}-01"


def child_of(traceparent: str) -> str:
    """A new span of the same trace; a new trace where `traceparent` is not one."""
    match = _TRACEPARENT.fullmatch(traceparent.strip())
    if match is None or (match["version"] == "00" and match["rest"]):
        return new_traceparent()
    return f"00-{match['trace']}-{_random_hex(8)}-{match['flags']}"


def _random_hex(size_bytes: int) -> str:
    """Random bytes in hex; all zeros mean "none" in a traceparent, so the last bit is always set."""
    return f"{secrets.randbits(8 * size_bytes) | 1:0{2 * size_bytes}x}"
