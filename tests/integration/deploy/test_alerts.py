"""Each alert, at its limit and beyond, asked of promtool; and the files of deploy/monitoring as they are committed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.monitoring.rules import DEAD_MANS_SWITCH
from deploy.monitoring.rules import rules as made_rules
from tests.integration.deploy.faults import CASES, WELL, Case
from tests.integration.deploy.monitored import GUARDIANS, MONITORING
from tests.integration.deploy.tool import says

RULES = MONITORING / "rules.yml"
_GROUPS = ["key_figures", "dead_mans_switch", "alerts"]


def _tests(*tests: Mapping[str, object]) -> str:
    """A file of promtool's; JSON is YAML, too."""
    return json.dumps(
        {"rule_files": [str(RULES)], "evaluation_interval": "5m", "group_eval_order": _GROUPS, "tests": tests}
    )


def _series(changed: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": series, "values": values} for series, values in {**WELL, **changed}.items()]


def _firing(alert: str, severity: str, minute: int, *levels: int) -> dict[str, object]:
    asked = f'count by (level) (ALERTS{{alertstate="firing",alertname="{alert}",severity="{severity}"}})'
    return {
        "expr": f"{asked} > bool 0",
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": f'{{level="{level}"}}', "value": 1} for level in levels],
    }


def _fires(case: Case) -> dict[str, object]:
    """Level by level; and not a minute earlier."""
    asked = [
        _firing(case.alert, case.severity, case.seen + age, *levels)
        for age, levels in ((0, [1]), (10, [1]), (15, [1, 2]), (25, [1, 2]), (30, [1, 2, 3]), (55, [1, 2, 3]))
    ]
    asked.append(_firing(case.alert, case.severity, case.seen + 60, 1, 2, 3, 4))
    return {"interval": "1m", "input_series": _series(case.wrong), "promql_expr_test": asked}


def _does_not_fire(case: Case) -> dict[str, object]:
    asked = [_firing(case.alert, case.severity, minute) for minute in range(0, 40, 5)]
    return {"interval": "1m", "input_series": _series(case.well), "promql_expr_test": asked}


@pytest.mark.slow
def test_every_alert_fires_beyond_its_limit_level_by_level_and_not_at_it(tmp_path: Path) -> None:
    nothing = {
        "expr": f'ALERTS{{alertname!="{DEAD_MANS_SWITCH}"}}',
        "eval_time": "75m",
        "exp_samples": [],
    }
    always = {"expr": f'ALERTS{{alertname="{DEAD_MANS_SWITCH}"}}', "eval_time": "0m"}
    labels = f'ALERTS{{alertname="{DEAD_MANS_SWITCH}",alertstate="firing",severity="none"}}'
    well = {
        "interval": "1m",
        "input_series": _series({}),
        "promql_expr_test": [nothing, {**always, "exp_samples": [{"labels": labels, "value": 1}]}],
    }
    file = tmp_path / "alerts.yml"
    file.write_text(_tests(well, *map(_fires, CASES), *map(_does_not_fire, CASES)), encoding="utf-8")
    assert "SUCCESS" in says("promtool", "test", "rules", file)
    tried = {(case.alert, case.severity) for case in CASES}
    assert tried == {(alert, severity) for alert, severity in _alerts() if alert != DEAD_MANS_SWITCH}


def test_an_alert_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    expected = {
        "summary": "card 0 of gpu:1 has 30GiB in use",
        "description": "No video is admitted until it is less.",
        "action": "See who holds the memory",
        "command": "nvidia-smi --query-compute-apps=pid,used_memory --format=csv",
    }
    case = next(case for case in CASES if (case.alert, case.severity) == ("GpuMemory", "critical"))
    labels = {"severity": "critical", "level": "1", "process": "gpu", "instance": "gpu:1", "card": "0"}
    told = {
        "eval_time": "0m",
        "alertname": "GpuMemory",
        "exp_alerts": [{"exp_labels": labels, "exp_annotations": expected}],
    }
    file = tmp_path / "alerts.yml"
    file.write_text(
        _tests({"interval": "1m", "input_series": _series(case.wrong), "alert_rule_test": [told]}), encoding="utf-8"
    )
    says("promtool", "test", "rules", file)


def test_a_fault_whose_ages_are_scaled_rises_sooner() -> None:
    scaled = made_rules(GUARDIANS, scale=1 / 300)
    assert [line.strip() for line in scaled.splitlines() if "for:" in line][:4] == [
        "for: 0s",
        "for: 3s",
        "for: 6s",
        "for: 12s",
    ]


def _alerts() -> set[tuple[str, str]]:
    """Name and severity of every alert in the committed file."""
    found, name = set(), ""
    for line in RULES.read_text("utf-8").splitlines():
        if line.strip().startswith("- alert: "):
            name = line.partition("alert: ")[2]
        if line.strip().startswith("labels: {severity: "):
            found.add((name, line.partition("severity: ")[2].rstrip("}").split(",")[0]))
    return found


@pytest.mark.parametrize("file", ["prometheus.yml", "alertmanager.yml"])
def test_prometheus_and_alertmanager_take_their_files(file: str) -> None:
    tool = {"prometheus.yml": ("promtool", "check", "config"), "alertmanager.yml": ("amtool", "check-config")}[file]
    assert "SUCCESS" in says(*tool, MONITORING / file)
