"""What the tests of the monitoring share: its folder, the guardians, all questions, and what they are about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from deploy.launch import procfile
from deploy.launch.plan import PROCFILE, ROOT
from deploy.monitoring.alerts import alerts
from deploy.monitoring.figures import FIGURES

MONITORING = ROOT / "deploy" / "monitoring"
PROCESSES = procfile.read(PROCFILE)
GUARDIANS = tuple(line.name for line in PROCESSES if "guardians" in line.argv)
#: What Prometheus itself knows.
_ITS_OWN = frozenset({"up", "ALERTS"})
_METRIC = re.compile(r"\b(?:ytempire[a-z_0-9]*(?:_|:)[a-z_:0-9]+|process_[a-z_]+|up|ALERTS)\b")
_TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)


def metrics_of(expr: str) -> set[str]:
    """The metrics that a question asks for."""
    without_labels = re.sub(r"\{[^}]*\}", "", expr)
    without_clauses = re.sub(r"\b(?:by|without|on|ignoring|group_left)\s*\([^)]*\)", " ", without_labels)
    return set(_METRIC.findall(without_clauses))


def asked() -> Iterator[str]:
    """Every question of rules and dashboards, these as they are committed."""
    yield from (figure.measured for figure in FIGURES)
    yield from (alert.expr for alert in alerts(GUARDIANS))
    for path in sorted((MONITORING / "grafana" / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            yield from (target["expr"] for target in panel["targets"])


def exported(text: str) -> set[str]:
    """What may be asked for where an exporter says `text`, with what the rules record."""
    names = set(_ITS_OWN)
    for name, kind in _TYPE.findall(text):
        names |= {name} if kind != "histogram" else {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    for line in (MONITORING / "rules.yml").read_text("utf-8").splitlines():
        if line.strip().startswith("- record: "):
            names.add(line.partition("record: ")[2])
    return names
