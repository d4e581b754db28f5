"""What the figures of a card mean: the runbook's limits for its size, its level, and the metrics that show both.

Nothing here acts; `Latch` alone remembers, so that what is held back does not flicker.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final

import msgspec

from guardians.nvml import Card, Reading
from guardians.watch import Level, level_of
from schema.settings.limits import Limits
from schema.telemetry import metrics

#: Cards that differ from the runbook's by no more than this share count as of its size.
_SAME_SIZE: Final = 0.02
#: Utilisation is judged by the average of so many looks: a single one is a fraction of a second.
LOOKS: Final = 5

#: What the cards' figures in MB count by.
_MIB: Final = 1 << 20

_GAUGES: Final = (
    metrics.GPU_MEMORY_BYTES,
    metrics.GPU_UTILIZATION,
    metrics.GPU_TEMPERATURE,
    metrics.GPU_ENCODER_SESSIONS,
    metrics.GPU_PROCESS_BYTES,
)


class MemoryLimits(msgspec.Struct, frozen=True):
    """What is little free memory on a card, and what is too much used."""

    free_mb: int
    used_mb: int


def memory_limits(total_mb: int, limits: Limits) -> MemoryLimits:
    """The runbook's figures, or the same shares of a card of another size."""
    share = total_mb / limits.gpu_card_mb
    if abs(share - 1) <= _SAME_SIZE:
        share = 1.0
    return MemoryLimits(round(limits.gpu_free_mb * share), round(limits.gpu_memory_mb * share))


def memory_level(card: Card, limits: Limits) -> Level:
    """Warning: memory is asked back and jobs are throttled; critical: no video is admitted either."""
    allowed = memory_limits(card.total_mb, limits)
    if card.used_mb > allowed.used_mb:
        return "critical"
    return "warning" if card.free_mb < allowed.free_mb else "normal"


class Latch:
    """On at once, off when nothing spoke for it during `calm_s`."""

    def __init__(self, calm_s: float) -> None:
        self._calm_s, self.reason = calm_s, ""
        self._last_s = 0.0

    def update(self, reason: str, *, now_s: float, stays: bool = False) -> str:
        """A `reason` turns it on; `stays` alone keeps it on. The reason for which it is on, or ''."""
        self.reason = reason or self.reason
        if reason or (stays and self.reason):
            self._last_s = now_s
        elif self.reason and now_s - self._last_s >= self._calm_s:
            self.reason = ""
        return self.reason


class Utilization:
    """Of the busiest card, averaged over the last looks."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._looks: defaultdict[int, deque[float]] = defaultdict(lambda: deque(maxlen=LOOKS))

    def judge(self, reading: Reading) -> tuple[Level, str]:
        """The level, and the figure in words; normal until there were enough looks."""
        found = [(0.0, 0)]
        for card in reading.cards:
            if card.utilization_percent is not None:
                looks = self._looks[card.index]
                looks.append(card.utilization_percent)
                if len(looks) == LOOKS:
                    found.append((sum(looks) / len(looks), card.index))
        percent, index = max(found)
        level = level_of(
            percent,
            warning=self._limits.gpu_utilization_warning_percent,
            critical=self._limits.gpu_utilization_critical_percent,
        )
        return level, f"{which(index)}: {percent:.0f}% utilisation"


def which(card: int | None) -> str:
    """A card in words."""
    return "the driver" if card is None else f"card {card}"


def in_words(card: Card, limits: Limits) -> str:
    """Its memory, beside what is allowed."""
    allowed = memory_limits(card.total_mb, limits)
    return (
        f"{which(card.index)}: {card.used_mb} of {card.total_mb} MB used (limit {allowed.used_mb}), "
        f"{card.free_mb} MB free (at least {allowed.free_mb})"
    )


def export(reading: Reading, limits: Limits) -> None:
    """Shows what was read, each limit beside its value; what is not known has no sample."""
    metrics.GPU_CARDS.set(len(reading.cards))
    for gauge in _GAUGES:
        gauge.clear()
    for card in reading.cards:
        label, allowed = str(card.index), memory_limits(card.total_mb, limits)
        memory = {"total": card.total_mb, "used": card.used_mb, "free": card.free_mb}
        for kind, value in {**memory, "limit_used": allowed.used_mb, "limit_free": allowed.free_mb}.items():
            metrics.GPU_MEMORY_BYTES.labels(label, kind).set(value * _MIB)
        figures = {
            metrics.GPU_UTILIZATION: None if card.utilization_percent is None else card.utilization_percent / 100,
            metrics.GPU_TEMPERATURE: card.temperature_c,
            metrics.GPU_ENCODER_SESSIONS: card.encoder_sessions,
        }
        for gauge, figure in figures.items():
            if figure is not None:
                gauge.labels(label).set(figure)
        for one in card.processes:
            if one.used_mb is not None:
                metrics.GPU_PROCESS_BYTES.labels(label, str(one.pid)).set(one.used_mb * _MIB)
