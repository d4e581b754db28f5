"""What the bus is doing, as metrics: how much each group has to do, and what became of it in this process.

What the server does not know (a group's lag may be NULL) has no sample until it is known again; it is never shown as 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Gauge

from schema.telemetry import metrics
from streams.transport.port import Outcome, SourceFigures, Subscription, Transport


class Tally:
    """Counts what a broker of this process tells."""

    def settled(self, outcome: Outcome, count: int) -> None:
        """So many deliveries ended so."""
        metrics.SETTLES.labels(outcome).inc(count)

    def redelivered(self, group: str) -> None:
        """An entry came once more."""
        metrics.REDELIVERED.labels(group).inc()

    def lease_lost(self, group: str) -> None:
        """An entry in work went to somebody else."""
        metrics.LEASES_LOST.labels(group).inc()


def export(transport: Transport, subscriptions: Iterable[Subscription]) -> None:
    """Asks the server once for everything, and sets the gauges; waits while it is away (call it from a thread)."""
    delayed = transport.delayed()
    metrics.DEAD_LETTERS.set(transport.dead())
    for subscription in subscriptions:
        metrics.DELAYED.labels(subscription.group).set(delayed.get(subscription.lane, 0))
        for figures in transport.figures(subscription):
            _set(metrics.STREAM_DEPTH, figures, figures.undelivered)
            _set(metrics.STREAM_PENDING, figures, figures.pending)
            _set(metrics.STREAM_OLDEST_PENDING_SECONDS, figures, figures.oldest_pending_s)


def _set(gauge: Gauge, figures: SourceFigures, value: float | None) -> None:
    if value is None:
        gauge.remove(figures.stream, figures.group)
    else:
        gauge.labels(figures.stream, figures.group).set(value)
