"""The table of metrics in docs/monitoring.md, from the code that exports them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics import Enum, Info, MetricWrapperBase

from schema.telemetry import metrics

BEGIN: Final = "<!-- made by `python -m deploy.monitoring`: begin -->"
END: Final = "<!-- made by `python -m deploy.monitoring`: end -->"
_ENDINGS: Final = {"counter": "_total", "info": "_info"}


def described() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Each metric of ours by the name that is scraped: its kind, its labels, what it says."""
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            [family] = metric.describe()
            labels = tuple(metric._labelnames)  # noqa: SLF001 - the client shows them nowhere else
            kind = "info" if isinstance(metric, Info) else "gauge" if isinstance(metric, Enum) else family.type
            if isinstance(metric, Enum):
                labels = (*labels, family.name)
            yield family.name + _ENDINGS.get(kind, ""), kind, labels, family.documentation


def table() -> str:
    """Markdown, a line for each."""
    lines = ["| metric | kind | labels | says |", "|---|---|---|---|"]
    for name, kind, labels, says in sorted(described()):
        lines.append(f"| `{name}` | {kind} | {', '.join(labels)} | {says} |")
    return "\n".join(lines)


def put_into(page: str) -> str:
    """The page with its table as the code has it."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"
