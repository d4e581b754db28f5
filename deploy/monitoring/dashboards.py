"""Dashboards as Grafana reads them from files (its JSON model, schema 39, Grafana 11 and later).

No Grafana checks this; the tests hold the form to its documented schema and every metric to what the processes export.
"""

from __future__ import annotations

import json
from typing import Any, Final

from deploy.monitoring.panels import Page, Panel

_SCHEMA: Final = 39
_COLUMNS: Final = 24
_HEIGHT: Final = 8
_LOW: Final = 5
#: Chosen on the page; what deploy/monitoring/grafana/provisioning makes is the first of its kind.
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def dashboard(page: Page) -> str:
    """The file of a page."""
    panels, x, y, row = [], 0, 0, 0
    for number, panel in enumerate(page.panels, start=1):
        height = _HEIGHT if panel.kind == "timeseries" else _LOW
        if x + panel.width > _COLUMNS:
            x, y, row = 0, y + row, 0
        panels.append(_panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": height}))
        x, row = x + panel.width, max(row, height)
    model = {
        "uid": page.uid,
        "title": page.title,
        "description": "Made by `python -m deploy.monitoring` from deploy/monitoring/panels.py: change that, not this.",
        "tags": ["ytempire"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "15s",
        "timezone": "utc",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_chosen_source()]},
        "panels": panels,
    }
    return json.dumps(model, indent=2, ensure_ascii=False) + "\n"


def _chosen_source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus", "hide": 0}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    is_table = panel.kind == "table"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {} if panel.kind != "timeseries" else {"tooltip": {"mode": "multi", "sort": "desc"}},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": _SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "instant": is_table,
                "range": not is_table,
                "format": "table" if is_table else "time_series",
            }
            for at, query in enumerate(panel.queries)
        ],
    }
