"""The rules of Prometheus: the table of key figures recorded, every alert in four levels, and the dead man's switch.

Who is told rises with the age of a fault: level 1 at once, 2 after 15 minutes, 3 after 30, 4 after 60. Prometheus
keeps the age; Alertmanager routes by the label and lets a higher level mute the lower ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from deploy.monitoring.alerts import alerts
from deploy.monitoring.figures import FIGURES, Alert, Figure

#: Level and the age, in seconds, from which a fault has it.
LEVELS: Final = ((1, 0), (2, 15 * 60), (3, 30 * 60), (4, 60 * 60))
#: The alert that always fires: whoever misses it knows that no other can be told.
DEAD_MANS_SWITCH: Final = "DeadMansSwitch"
_MADE = "# Made by `python -m deploy.monitoring` from deploy/monitoring/{}.py: change that, not this.\n"


def rules(guardians: tuple[str, ...], *, scale: float = 1.0) -> str:
    """The file of rules; `scale` multiplies the ages, for a test that has less time."""
    lines = [made_from("alerts").rstrip(), "groups:", "  - name: key_figures", "    rules:"]
    for figure in FIGURES:
        lines += _recorded(figure)
    lines += ["  - name: dead_mans_switch", "    rules:", *_switch()]
    lines += ["  - name: alerts", "    rules:"]
    for alert in alerts(guardians):
        lines += _levels(alert, scale)
    return "\n".join(lines) + "\n"


def duration(seconds: float) -> str:
    """As Prometheus writes it, which knows no fractions."""
    milliseconds = round(seconds * 1000)
    if milliseconds % 60_000 == 0 and milliseconds:
        return f"{milliseconds // 60_000}m"
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def _recorded(figure: Figure) -> Iterator[str]:
    yield f"      - record: {figure.recorded}"
    yield f"        expr: {quoted(figure.measured)}"
    for band in figure.bands:
        limit = f'max(ytempire_guardian_limit{{guardian="{figure.guardian}",figure="{figure.figure}",level="{band}"}})'
        yield f"      - record: ytempire:{figure.name}:{band}"
        yield f"        expr: {quoted(limit if figure.per == 1 else f'{limit} / {figure.per}')}"


def _levels(alert: Alert, scale: float) -> Iterator[str]:
    for level, age_s in LEVELS:
        yield f"      - alert: {alert.name}"
        yield "        expr: |-"
        yield from (f"          {line}" for line in alert.expr.splitlines())
        yield f"        for: {duration(age_s * scale)}"
        yield f'        labels: {{severity: {alert.severity}, level: "{level}"}}'
        yield "        annotations:"
        for name in ("summary", "description", "action", "command"):
            yield f"          {name}: {quoted(getattr(alert, name))}"


def _switch() -> Iterator[str]:
    yield f"      - alert: {DEAD_MANS_SWITCH}"
    yield "        expr: vector(1)"
    yield "        labels: {severity: none}"
    yield "        annotations:"
    yield f"          summary: {quoted('Alerts can be told; who does not hear this any more should look why.')}"


def quoted(text: str) -> str:
    """As YAML, which takes JSON's strings."""
    return json.dumps(text, ensure_ascii=False)


def made_from(module: str) -> str:
    """The first line of a file that is made."""
    return _MADE.format(module)
