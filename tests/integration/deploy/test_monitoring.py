"""The files of deploy/monitoring against the code that they are made from, and against the metrics that there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from deploy.monitoring.__main__ import made, main
from deploy.monitoring.alerts import alerts
from deploy.monitoring.figures import FIGURES
from deploy.monitoring.panels import PAGES
from deploy.monitoring.reference import described
from deploy.monitoring.rules import LEVELS
from schema.telemetry.metrics import REGISTRY
from tests.integration.deploy.monitored import GUARDIANS, MONITORING, PROCESSES, asked, exported, metrics_of
from tests.integration.deploy.tool import says

DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
_KINDS = {"timeseries", "stat", "state-timeline", "table"}


@pytest.mark.parametrize(("path", "text"), list(made()), ids=lambda made: made.name if isinstance(made, Path) else "")
def test_a_file_that_is_made_is_what_the_code_makes_of_it(path: Path, text: str) -> None:
    assert path.read_text("utf-8") == text, "run `python -m deploy.monitoring` and commit what it writes"


def test_prometheus_asks_every_process_of_the_procfile_under_its_name() -> None:
    lines = (MONITORING / "prometheus.yml").read_text("utf-8").splitlines()
    names = [line.partition("process: ")[2].rstrip("}") for line in lines if "process: " in line]
    assert names == [process.name for process in PROCESSES]
    assert {"vitals", "cost", "stuck", "gpu", "integrity"} == set(GUARDIANS)


def test_a_host_that_runs_a_share_has_a_file_of_its_exporters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YTEMPIRE_ACTORS", "quality,render")
    assert main(["--host", "gpu-1"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"targets": ["gpu-1:9107"], "labels": {"process": "render"}},
        {"targets": ["gpu-1:9108"], "labels": {"process": "quality"}},
    ]
    monkeypatch.setenv("YTEMPIRE_ACTORS", "rendr")
    assert main(["--host", "gpu-1"]) == 2
    assert "no line 'rendr'" in capsys.readouterr().err


def test_every_question_is_about_a_metric_that_the_processes_export_or_the_rules_record() -> None:
    known = exported(generate_latest(REGISTRY).decode())
    questions = list(asked())
    assert len(questions) > 60
    assert {question: unknown for question in questions if (unknown := metrics_of(question) - known)} == {}
    assert all(metrics_of(question) for question in questions)


def test_a_metric_that_nobody_exports_is_found() -> None:
    known = exported(generate_latest(REGISTRY).decode())
    assert metrics_of('sum by (le) (rate(ytempire_lost_total{a="b"}[5m])) / ytempire:gone:ratio') - known == {
        "ytempire_lost_total",
        "ytempire:gone:ratio",
    }


def test_every_question_is_one_that_prometheus_understands(tmp_path: Path) -> None:
    rules = [{"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(asked())]
    file = tmp_path / "asked.yml"
    file.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}), encoding="utf-8")
    assert f"{len(rules)} rules found" in says("promtool", "check", "rules", file)


def _with_samples() -> Iterator[str]:
    """Every metric of ours with a sample: promtool passes over what has none."""
    for name, kind, labels, text in described():
        yield f"# HELP {name} {text}\n# TYPE {name} {'gauge' if kind == 'info' else kind}\n"
        said = ",".join(f'{label}="x"' for label in labels)
        if kind == "histogram":
            yield f'{name}_bucket{{{said},le="+Inf"}} 1\n{name}_sum{{{said}}} 1\n{name}_count{{{said}}} 1\n'
        else:
            yield f"{name}{{{said}}} 1\n"


def test_the_metrics_follow_the_rules_of_prometheus() -> None:
    said = "".join(_with_samples())
    assert says("promtool", "check", "metrics", stdin=said) == ""
    assert says("promtool", "check", "metrics", stdin=generate_latest(REGISTRY).decode()) == ""


def test_no_label_holds_the_id_of_a_video() -> None:
    labels = {label for _, _, labels, _ in described() for label in labels}
    assert labels
    assert not labels & {"video", "video_id", "id", "key", "entry", "attempt", "topic"}


def test_each_alert_says_what_to_do_and_how() -> None:
    assert [alert.name for alert in alerts(GUARDIANS) if not (alert.summary and alert.action and alert.command)] == []
    assert [level for level, _ in LEVELS] == [1, 2, 3, 4]
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        *((f"alertname=QueueDepth level={level} severity=warning", f"level-{level}") for level in range(1, 5)),
        ("alertname=DeadMansSwitch severity=none", "dead-mans-switch"),
    ],
)
def test_each_level_has_its_receiver(labels: str, receiver: str) -> None:
    config = f"--config.file={MONITORING / 'alertmanager.yml'}"
    assert says("amtool", "config", "routes", "test", config, *labels.split()).split()[-1] == receiver


def _panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in DASHBOARDS:
        yield from ((path.stem, panel) for panel in json.loads(path.read_text("utf-8"))["panels"])


def test_dashboards_have_the_form_that_grafana_reads() -> None:
    models = [json.loads(path.read_text("utf-8")) for path in DASHBOARDS]
    assert [model["uid"] for model in models] == sorted(page.uid for page in PAGES)
    for model in models:
        assert model["schemaVersion"] >= 36
        assert model["templating"]["list"][0]["name"] == "datasource"
        assert [panel["id"] for panel in model["panels"]] == list(range(1, len(model["panels"]) + 1))
    for page, panel in _panels():
        assert panel["type"] in _KINDS, page
        assert panel["title"]
        assert panel["targets"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)


def test_panels_lie_beside_each_other_on_the_page_and_not_upon_each_other() -> None:
    taken: set[tuple[str, int, int]] = set()
    for page, panel in _panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (page, x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
