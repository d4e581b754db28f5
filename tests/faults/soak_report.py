"""What a soak has shown: a line for everything that must not grow, and the same as a plot.

Compared are medians: of the second eighth of the time (the first is warming up) and of the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

from deploy.reporting.plots import HALF, Column, columns
from tests.faults.soak import SPARED
from tests.faults.soak_samples import Sample

#: All processes that were not killed by the soak itself, the launcher too.
_STEADY: Final = ("launcher", *SPARED)
_BARS: Final = 48
_EIGHTHS: Final = 8
#: Where what was made is kept, which has to grow: films, and what the record says of them.
_KEPT: Final = ("videos", "postgres")
_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#16202c}.axis{fill:#5d6b7a;font-size:12px}.title{font-weight:600}"
    ".grid{stroke:#e1e6ec}.floor{stroke:#5d6b7a}.time{fill:#3d63dd}"
)


class Measure(msgspec.Struct, frozen=True):
    """Something that must not grow."""

    title: str
    unit: str
    of: Callable[[Sample], float]


def _sum(of: Mapping[str, float], of_these: Sequence[str]) -> float:
    return sum(value for name, value in of.items() if name in of_these)


MEASURES: Final = (
    Measure("memory of processes never killed", "MiB", lambda sample: _sum(sample.memory, _STEADY)),
    Measure("memory of all processes", "MiB", lambda sample: sum(sample.memory.values())),
    Measure("descriptors of processes never killed", "", lambda sample: _sum(sample.descriptors, _STEADY)),
    Measure("connections to Postgres", "", lambda sample: sample.postgres_connections),
    Measure("connections to Redis", "", lambda sample: sample.redis_clients),
    Measure("memory of Redis", "MiB", lambda sample: sample.redis_memory),
    Measure("consumers on the bus", "", lambda sample: sample.consumers),
    Measure(
        "disk, without films and record",
        "MiB",
        lambda sample: sum(size for name, size in sample.disk.items() if name not in _KEPT),
    ),
)


def cells(samples: Sequence[Sample]) -> Iterator[tuple[str, ...]]:
    """The head and a line a measure, then what is kept for each thousand videos."""
    yield ("measure", "early", "late", "most", "late / early")
    early, late = _eighth(samples, 1), _eighth(samples, _EIGHTHS - 1)
    for measure in MEASURES:
        before, after = (median(map(measure.of, part)) for part in (early, late))
        most = max(map(measure.of, samples))
        ratio = f"{after / before:.2f}" if before else ""
        yield (_named(measure), f"{before:.0f}", f"{after:.0f}", f"{most:.0f}", ratio)
    for name in _STEADY:
        before, after = (median(sample.memory.get(name, 0.0) for sample in part) for part in (early, late))
        yield (f"memory of {name}, MiB", f"{before:.0f}", f"{after:.0f}", "", f"{after / before:.2f}" if before else "")
    for name in _KEPT:
        before, after = (
            median(1000 * sample.disk.get(name, 0.0) / max(1, sum(sample.videos.values())) for sample in part)
            for part in (early, late)
        )
        yield (f"disk of {name} for 1,000 videos, MiB", f"{before:.0f}", f"{after:.0f}", "", "")


def _named(measure: Measure) -> str:
    return f"{measure.title}, {measure.unit}" if measure.unit else measure.title


def summary(samples: Sequence[Sample]) -> str:
    """One line: how long, how much, how often broken, and what did not hold."""
    last = samples[-1]
    ended = ", ".join(f"{count} {status}" for status, count in sorted(last.videos.items()))
    rests = [sample for sample in samples if sample.rested]
    broken = sum(bool(sample.broken) for sample in rests)
    return (
        f"{last.at_s / 3600:.1f} h, {last.faults} faults, {sum(last.videos.values())} videos ({ended}); "
        f"at rest {len(rests)} times, an invariant broken {broken} times"
    )


def plot(samples: Sequence[Sample]) -> str:
    """An SVG of its own: small plots, two in a row, each column the median of its stretch of time."""
    stretch_s = samples[-1].at_s / _BARS
    parts = []
    for place, measure in enumerate(MEASURES):
        bars = [
            Column(
                _hour(number, stretch_s),
                (median([measure.of(sample) for sample in samples if _stretch(sample, stretch_s) == number] or [0]),),
                "",
            )
            for number in range(_BARS)
        ]
        drawn = columns(bars, ("time",), title=measure.title)
        x, y = place % 2 * (HALF + 40), place // 2 * 240
        inner = drawn.replace("<svg ", f'<svg x="{x}" y="{y + 34}" width="{HALF}" height="190" ', 1)
        parts.append(f'<text class="title" x="{x}" y="{y + 22}">{_named(measure)}</text>{inner}')
    height = (len(MEASURES) + 1) // 2 * 240
    width = 2 * HALF + 40
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-16 0 {width + 32} {height}" width="{width + 32}" '
        f'height="{height}"><style>{_STYLE}</style><rect x="-16" width="{width + 32}" height="{height}" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _eighth(samples: Sequence[Sample], number: int) -> list[Sample]:
    """The samples of one eighth of the time; all of them where that has none."""
    step_s = samples[-1].at_s / _EIGHTHS
    return [sample for sample in samples if number * step_s < sample.at_s <= (number + 1) * step_s] or list(samples)


def _stretch(sample: Sample, stretch_s: float) -> int:
    """The column that it belongs to; the very last moment to the last."""
    return min(_BARS - 1, int(sample.at_s / stretch_s))


def _hour(number: int, stretch_s: float) -> str:
    """A label on every eighth column, in minutes."""
    return f"{number * stretch_s / 60:.0f} min" if number % (_BARS // _EIGHTHS * 2) == 0 else ""
