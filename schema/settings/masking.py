"""Which settings nobody is shown, and how they are shown to everybody: in a repr, in a complaint, over HTTP.

An address loses its password wherever it stands, also where it cannot be parsed: what is hidden is rather too much.

One list for all of them. What copies values out of a struct, such as `msgspec.to_builtins`, does not come by here.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

MASK: Final = "***"
#: Keys, the token, and addresses that have tokens in them.
SECRETS: Final = frozenset(
    {
        "openai_api_key",
        "pexels_api_key",
        "elevenlabs_api_key",
        "google_api_key",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "gateway_token",
        "alerts_to",
    }
)

_PASSWORDS: Final = (
    # up to the last @: a password may hold any sign, those that end a host included
    (re.compile(r"(://[^:@/?#]*):.+@", re.DOTALL), rf"\1:{MASK}@"),
    (re.compile(r"([?&][^=&]*(?:passw|secret|token|key)[^=&]*=)[^&]+", re.IGNORECASE), rf"\1{MASK}"),
)


def masked(field: str, value: object) -> object:
    """The value as it may be shown: a secret as ***, an address without its password."""
    if field in SECRETS:
        return MASK if value else ""
    if not isinstance(value, str) or "://" not in value:
        return value
    for pattern, instead in _PASSWORDS:
        value = pattern.sub(instead, value)
    return value


class Masked(msgspec.Struct, frozen=True, kw_only=True):
    """A group of settings that shows itself without its secrets."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What may be shown."""
        return [(field, masked(field, getattr(self, field))) for field in self.__struct_fields__]

    def __repr__(self) -> str:
        """Show everything but what is secret."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"
