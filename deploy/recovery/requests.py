"""Requests that were accepted after a backup was made: asked again, where Redis still has them.

A restored record has forgotten them, but stream:intake keeps its entries for days. Each is published once more with
the key that it had, so whoever is still known is not made twice. Where Redis is gone, too, their senders must ask
again: an XADD is repeated with the same key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from schema.record import databases
from streams import names
from streams.publish import publish
from streams.transport.port import Transport

#: An entry may be older than the moment at which intake came to it.
_MARGIN_S: Final = 300.0
#: A server that does not answer has nothing.
_LOOK_S: Final = 0.1


async def forgotten(transport: Transport, database_url: str, since: datetime) -> dict[str, dict[bytes, bytes]]:
    """Requests since this moment that the record does not know, by their keys, in order."""
    found: dict[str, dict[bytes, bytes]] = {}
    cursor = f"{int((since.timestamp() - _MARGIN_S) * 1000)}-0"
    while entries := transport.observe({names.INTAKE: cursor}, _LOOK_S):
        for entry in entries:
            key = entry.fields.get(b"key", b"").decode(errors="replace") or entry.id
            found[key] = {**entry.fields, b"key": key.encode()}
        cursor = entries[-1].id
    known = await databases.known_keys(database_url, list(found))
    return {key: fields for key, fields in found.items() if key not in known}


def ask_again(transport: Transport, requests: Mapping[str, dict[bytes, bytes]]) -> None:
    """Publish them; intake answers as it does anybody."""
    for fields in requests.values():
        publish(transport, names.INTAKE, fields)
