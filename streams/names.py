"""The name of every stream, group and key, in one place; what operators type is spelled here."""

from __future__ import annotations

from typing import Final

from schema.flow import LAST, STAGES, Stage, input_streams
from streams.transport.port import DEAD, LATER, Subscription

__all__ = ["DEAD", "LATER"]

INTAKE: Final = "stream:intake"
CONTROL: Final = "stream:control"
REJECTED: Final = "stream:rejected"
NOTICES: Final = "stream:notices"
#: Mirrors of the record for people: a sorted set of what is queued, a set of what is processed.
QUEUE: Final = "queue:priority"
PROCESSING: Final = "queue:processing"


def receipt_key(entry_id: str) -> str:
    """The hash that answers an entry of stream:intake."""
    return f"receipt:{entry_id}"


def control_receipt_key(entry_id: str) -> str:
    """The hash that answers an entry of stream:control."""
    return f"receipt:control:{entry_id}"


def subscription(group: str, streams: tuple[str, ...]) -> Subscription:
    """A group on some streams, with the lane that belongs to it."""
    return Subscription(group=group, streams=streams, lane=f"lane:{group}")


def stage_subscription(stage: Stage) -> Subscription:
    """What a stage reads: the streams whose facts can start it."""
    return subscription(stage.name, input_streams(stage))


INTAKE_SUBSCRIPTION: Final = subscription("intake", (INTAKE,))
#: Every group that the code declares, by name.
SUBSCRIPTIONS: Final = {
    declared.group: declared for declared in (INTAKE_SUBSCRIPTION, *(stage_subscription(stage) for stage in STAGES))
}
#: Streams that no declared group reads: kept for so long, whoever reads them.
UNREAD: Final = (CONTROL, REJECTED, NOTICES, DEAD, LAST.stream)
