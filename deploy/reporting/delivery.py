"""The way to people's phones: one message to some addresses, by apprise, which speaks mail, Slack, Telegram, webhooks.

Each address is tried by itself, so that one that is away costs the others nothing; what it says is told with the
address masked. It takes as long as the slowest address: some seconds where one does not answer. Whether a person reads
it, no sender knows.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Collection, Sequence
from typing import Final, Literal

import msgspec

from schema.errors import ConfigurationError

#: An address may hold commas and no blanks; a new one begins with its scheme.
_BETWEEN: Final = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_SHOWN_CHARS: Final = 300
#: Shorter parts of an address are words, and no tokens.
_SECRET_MIN_CHARS: Final = 8
Kind = Literal["failure", "warning", "success", "info"]
_KINDS: Final[dict[str, Kind]] = {"critical": "failure", "warning": "warning", "normal": "success"}


class Target(msgspec.Struct, frozen=True):
    """One address: where to, a name for it that tells nothing, and what may be shown of it."""

    url: str
    digest: str
    shown: str

    def __repr__(self) -> str:
        """The address holds a password."""
        return f"Target({self.shown})"


class Sent(msgspec.Struct, frozen=True):
    """The digests of the addresses that have it now, and what the others said, by what may be shown of them."""

    delivered: tuple[str, ...]
    failed: dict[str, str]


def targets(addresses: str) -> tuple[Target, ...]:
    """The addresses of the setting; raises ConfigurationError, which shows none, for one that apprise does not know."""
    urls = [url for url in _BETWEEN.split(addresses.strip(" ,\n")) if url]
    if not urls:
        return ()
    import apprise  # noqa: PLC0415 - half a second, and most processes tell nobody anything

    found: list[Target] = []
    for number, url in enumerate(urls, start=1):
        there = apprise.Apprise()
        if not there.add(url):
            raise ConfigurationError(
                f"YTEMPIRE_ALERTS_TO: address {number} ({url.partition('://')[0]}://...) is none that apprise knows",
                hint="such as mailto://user:password@example.org, or json://127.0.0.1:9000/alerts",
            )
        digest = hashlib.sha256(url.encode()).hexdigest()[:16]
        shown = _shown(str(there[0].url(privacy=True)))  # type: ignore[no-untyped-call]
        again = f" (address {number})" if shown in {target.shown for target in found} else ""
        found.append(Target(url, digest, shown + again))
    return tuple(found)


def _shown(masked: str) -> str:
    """The scheme and the host: apprise masks the tokens that it knows of, and in a webhook's path there is one, too."""
    scheme, _, rest = masked.partition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{host}{slash}{'...' if path.strip('/') else ''}"


def deliver(
    to: Sequence[Target], title: str, body: str, *, level: str = "critical", but_not: Collection[str] = ()
) -> Sent:
    """Tell all of them, but those whose digest is in `but_not`: they have it already."""
    delivered, failed = list(but_not), {}
    for target in to:
        if target.digest in but_not:
            continue
        if (error := _told(target, title, body, _KINDS.get(level, "info"))) is None:
            delivered.append(target.digest)
        else:
            failed[target.shown] = error
    return Sent(tuple(delivered), failed)


def _told(target: Target, title: str, body: str, kind: Kind) -> str | None:
    """None, or what was wrong."""
    import apprise  # noqa: PLC0415 - as above

    there = apprise.Apprise()
    there.add(target.url)
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
        try:
            if there.notify(title=title, body=body, notify_type=apprise.NotifyType(kind)):
                return None
        except Exception as error:  # noqa: BLE001 - a hundred plug-ins of others: none may end who tells
            return f"{type(error).__name__} of its own"  # its words may hold the address
        words = [line for line in said.getvalue().splitlines() if line.strip()]
    return _without_its_address(words[0] if words else "it did not take it", target)[:_SHOWN_CHARS]


def _without_its_address(words: str, target: Target) -> str:
    for part in (target.url, *re.split(r"[/?#&=@]+", target.url.partition("://")[2])[1:]):
        if len(part) >= _SECRET_MIN_CHARS:
            words = words.replace(part, "...")
    return words
