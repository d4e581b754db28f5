"""What the exporters of this host say: who answers, when each guardian last looked, the table of key figures, cards.

Ports follow from the Procfile: the exporter of its first line, and one higher for each line that follows. A process
that does not answer is told as such; what it would have said has no value, never 0. Processes on other hosts are asked
only where a setting says what each is called there: else Prometheus does that, and what this host does not run is not
told at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.request import ProxyHandler, build_opener

import msgspec
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from deploy.launch import procfile
from deploy.launch.plan import PROCFILE
from schema.settings.servers import Servers

#: These are processes of ours: no proxy lies between.
_DIRECT: Final = build_opener(ProxyHandler({}))
_PATIENCE_S: Final = 1.0
_MOST_BYTES: Final = 4 << 20
#: Cards are told in MB and per cent, as the runbook and nvidia-smi tell them.
_MIB: Final = 1 << 20


class Guardian(msgspec.Struct, frozen=True):
    """A guardian's process, and how long ago it last looked and found nothing in its way."""

    name: str
    answers: bool
    looked_s_ago: float | None


class KeyFigure(msgspec.Struct, frozen=True):
    """A row of the operators' table; None: not known."""

    figure: str
    value: float | None
    level: str | None
    warning: float | None
    critical: float | None


class Card(msgspec.Struct, frozen=True):
    """A graphics card as the gpu guardian sees it."""

    card: str
    used_mb: float | None
    free_mb: float | None
    total_mb: float | None
    utilization_percent: float | None
    temperature_celsius: float | None
    encoder_sessions: float | None


class Limit(msgspec.Struct, frozen=True):
    """What a guardian compares a figure with."""

    guardian: str
    figure: str
    level: str
    limit: float


class Heard(msgspec.Struct, frozen=True):
    """What the exporters said."""

    processes: dict[str, bool]
    guardians: tuple[Guardian, ...]
    figures: tuple[KeyFigure, ...]
    limits: tuple[Limit, ...]
    cards: tuple[Card, ...]
    dead_letters: int | None

    def why_no_card(self) -> str:
        """Why there is no card to tell of, in words."""
        if "gpu" not in self.processes:
            return "the gpu guardian runs on no host that is asked"
        return "no NVIDIA card answers" if self.processes["gpu"] else "the gpu guardian does not answer"


class Exporters:
    """The exporters of a factory's processes."""

    def __init__(self, servers: Servers, process: str = "") -> None:
        """`process` is the line of the Procfile that asks, whose setting names its own port; none: a command."""
        host = "127.0.0.1" if servers.metrics_host in ("0.0.0.0", "::") else servers.metrics_host  # noqa: S104 - all of them means this one, too
        lines = procfile.read(PROCFILE)
        own = [line.name for line in lines].index(process) if process else 0
        asked = procfile.share(lines, "" if servers.metrics_hosts else servers.actors)
        first = servers.metrics_port - own
        self._urls = {
            line.name: f"http://{servers.metrics_hosts.replace('{}', line.name) or host}:{first + place}/metrics"
            for place, line in asked
        }
        self._process = process
        self._guardians = tuple(line.name for _, line in asked if "guardians" in line.argv)

    async def hear(self) -> Heard:
        """Ask all of them side by side; whoever asks is there."""
        names = [name for name in self._urls if name != self._process]
        texts = await asyncio.gather(*(asyncio.to_thread(_fetched, self._urls[name]) for name in names))
        said = {
            name: tuple(text_string_to_metric_families(text)) for name, text in zip(names, texts, strict=True) if text
        }
        processes = {name: name == self._process or name in said for name in self._urls}
        families = [family for name in self._guardians for family in said.get(name, ())]
        return Heard(
            processes=processes,
            guardians=tuple(_guardian(name, said.get(name)) for name in self._guardians),
            figures=_figures(families),
            limits=tuple(
                Limit(labels["guardian"], labels["figure"], labels["level"], value)
                for labels, value in _samples(families, "ytempire_guardian_limit")
            ),
            cards=_cards(families),
            dead_letters=_dead_letters(said),
        )


def _fetched(url: str) -> str:
    try:
        with _DIRECT.open(url, timeout=_PATIENCE_S) as answer:
            return str(answer.read(_MOST_BYTES).decode())
    except (OSError, ValueError):
        return ""


def _samples(families: Sequence[Metric], name: str) -> list[tuple[dict[str, str], float]]:
    return [(sample.labels, sample.value) for family in families for sample in family.samples if sample.name == name]


def _guardian(name: str, families: Sequence[Metric] | None) -> Guardian:
    ticks = [value for _, value in _samples(families or (), "ytempire_guardian_last_tick_timestamp_seconds")]
    ago = max(0.0, datetime.now(UTC).timestamp() - max(ticks)) if ticks else None
    return Guardian(name, families is not None, ago)


def _figures(families: Sequence[Metric]) -> tuple[KeyFigure, ...]:
    values = {labels["figure"]: value for labels, value in _samples(families, "ytempire_key_figure")}
    levels = {labels["figure"]: value for labels, value in _samples(families, "ytempire_key_figure_level")}
    limits = {
        (labels["figure"], labels["level"]): value
        for labels, value in _samples(families, "ytempire_guardian_limit")
        if labels["guardian"] == "vitals"
    }
    names = dict.fromkeys([*(figure for figure, _ in limits), *values])
    return tuple(
        KeyFigure(
            name,
            values.get(name),
            ("normal", "warning", "critical")[int(levels[name])] if name in levels else None,
            limits.get((name, "warning")),
            limits.get((name, "critical")),
        )
        for name in names
    )


def _cards(families: Sequence[Metric]) -> tuple[Card, ...]:
    memory = {
        (labels["card"], labels["kind"]): value / _MIB
        for labels, value in _samples(families, "ytempire_gpu_memory_bytes")
    }
    rest = {
        (labels["card"], name): round(value * scale, 3)
        for name, scale in (("utilization_ratio", 100), ("temperature_celsius", 1), ("encoder_sessions", 1))
        for labels, value in _samples(families, f"ytempire_gpu_{name}")
    }
    return tuple(
        Card(
            card,
            *(memory.get((card, kind)) for kind in ("used", "free", "total")),
            *(rest.get((card, name)) for name in ("utilization_ratio", "temperature_celsius", "encoder_sessions")),
        )
        for card in sorted({card for card, _ in memory})
    )


def _dead_letters(said: dict[str, tuple[Metric, ...]]) -> int | None:
    found = [value for families in said.values() for _, value in _samples(families, "ytempire_dead_letters")]
    return int(max(found)) if found else None
