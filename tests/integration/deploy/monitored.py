"""What the tests of the monitoring share: its folder, the guardians, the metrics that a question is about."""

from __future__ import annotations

import re

from deploy.launch import procfile
from deploy.launch.plan import PROCFILE, ROOT

MONITORING = ROOT / "deploy" / "monitoring"
PROCESSES = procfile.read(PROCFILE)
GUARDIANS = tuple(line.name for line in PROCESSES if "guardians" in line.argv)
_METRIC = re.compile(r"\b(?:ytempire[a-z_:]+|process_[a-z_]+|up|ALERTS)\b(?=[{\[ )]|$)", re.MULTILINE)


def metrics_of(expr: str) -> set[str]:
    """The metrics that a question asks for."""
    without_labels = re.sub(r"\{[^}]*\}", "{}", expr)
    without_clauses = re.sub(r"\b(?:by|without|on|ignoring|group_left)\s*\([^)]*\)", " ", without_labels)
    return set(_METRIC.findall(without_clauses))
