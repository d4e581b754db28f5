"""What was bought, under the hash of its input and its take: the same thing is not bought twice by accident.

A buyer claims an input before it asks for money; whoever comes meanwhile waits, and finds the result. A claim whose
attempt is over holds nobody up. The result is stored by the ledger, in the step that settles its bill.
"""

from __future__ import annotations

import hashlib
from typing import Literal
from uuid import UUID

import msgspec

from schema.documents import ArtifactRef
from schema.record.postgres import Postgres

_CLAIM = "SELECT * FROM money.claim($1, $2, $3, $4, $5, $6)"


class StoredFile(msgspec.Struct, frozen=True):
    """A file of a result: its name in the folder where the adapter left it, and where it is kept."""

    name: str
    ref: ArtifactRef


class InputKey(msgspec.Struct, frozen=True):
    """What is bought: an input, and which of its takes."""

    hash: str
    take: int = 0


class Buyer(msgspec.Struct, frozen=True):
    """For whom: one attempt at a stage of a video."""

    video: str
    stage: str
    attempt: int


class Found(msgspec.Struct, frozen=True):
    """It was bought before: the adapter's answer as JSON, and its files."""

    result: bytes
    files: tuple[StoredFile, ...]


class Before(msgspec.Struct, frozen=True):
    """An earlier call for the same input that was, or may have been, billed, and left no result that counts."""

    reservation: UUID
    state: Literal["sent", "settled", "unknown"]
    #: Of the same stage of the same video.
    is_ours: bool


class Claimed(msgspec.Struct, frozen=True):
    """It may be bought now, by nobody else."""

    before: Before | None


class BeingBought(msgspec.Struct, frozen=True):
    """Somebody is buying it at this moment, for this video."""

    video: str


class Superseded(msgspec.Struct, frozen=True):
    """A newer attempt has begun, or the stage has ended."""


Claim = Found | Claimed | BeingBought | Superseded


def input_key(service: str, model: str, order: msgspec.Struct, take: int = 0) -> InputKey:
    """The key of an order: SHA-256 over service, model and the order as canonical JSON."""
    canonical = msgspec.json.encode([service, model, order], order="deterministic")
    return InputKey(hashlib.sha256(canonical).hexdigest(), take)


class Bought:
    """The rows of money.purchases."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def claim(self, key: InputKey, buyer: Buyer, holder: UUID) -> Claim:
        """Find it, or claim it under the id of the reservation that will be asked for."""
        row = await self._postgres.call(_CLAIM, holder, buyer.video, buyer.stage, buyer.attempt, key.hash, key.take)
        match row["answer"]:
            case "bought":
                files = msgspec.json.decode(row["artifacts"], type=tuple[StoredFile, ...])
                return Found(row["result"].encode(), files)
            case "held":
                return BeingBought(row["held_by"])
            case "superseded":
                return Superseded()
            case _:
                previous = row["previous"]
                before = Before(previous, row["previous_state"], row["previous_is_ours"]) if previous else None
                return Claimed(before)

    async def let_go(self, key: InputKey, holder: UUID) -> None:
        """Give a claim back that came to nothing; harmless where it is not held."""
        await self._postgres.call("SELECT money.let_go($1, $2, $3)", holder, key.hash, key.take)

    async def strike_off(self, key: InputKey) -> bool:
        """Never find this result again: it is not good enough. False when there is none."""
        return bool((await self._postgres.call("SELECT money.strike_off($1, $2) AS was", key.hash, key.take))["was"])

    async def strike_off_all(self, video: str, stage: str) -> int:
        """Strike off every result that a stage of a video was made with; says how many."""
        row = await self._postgres.call(
            """SELECT count(*) FILTER (WHERE money.strike_off(input_hash, take)) AS struck
                 FROM money.uses WHERE video_id = $1 AND stage = $2""",
            *(video, stage),
        )
        return int(row["struck"])
