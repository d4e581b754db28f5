"""Publishing an event: once, although the reply may be lost.

A call that is repeated with the same token within a minute appends nothing and answers the same id. An event for
stream:intake waits while Redis is out of memory; all others are taken, since they are what frees it.
"""

from __future__ import annotations

from streams.names import INTAKE
from streams.transport.port import Publication, Transport


def publish(
    transport: Transport,
    stream: str,
    fields: dict[str, str] | dict[bytes, bytes],
    *,
    token: str | None = None,
    wait_s: float | None = None,
) -> str:
    """Appends the event and returns its entry id; waits for a server that is away.

    Args:
        transport: The bus.
        stream: Where to.
        fields: The event, flat.
        token: Names this event where the caller may repeat itself; made up for each call where none is given.
        wait_s: Raise BusUnavailableError after so long; None waits as long as it takes.
    """
    publication = Publication(stream, fields)
    return transport.publish((publication,), token, within_memory=stream == INTAKE, wait_s=wait_s)[0]
